package agent

import (
	"testing"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/update"
)

func TestWarinessIsANumberFrom0To1(t *testing.T) {
	for text, ok := range map[string]bool{
		"": true, "0": true, "1": true, "0.5": true, "0.000000001": true, "1.0": true,
		"-0": false, "1.1": false, "2": false, ".5": false, "0.": false, "5e-1": false, "NaN": false, "0,5": false, "0.5 ": false,
	} {
		c := DefaultConfig()
		c.Wariness = text
		if err := c.check(); (err == nil) != ok || err != nil && !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestWarinessIsToldInUpdateChecksOnly(t *testing.T) {
	for _, wariness := range []string{"", "0", "0.25"} {
		p := newPeers(t)
		c := DefaultConfig()
		c.Server, c.Wariness = p.server.URL, wariness
		s := newOmahaService(newClient(), c, Identity{MachineID: "00112233445566778899aabbccddeeff", Arch: "amd64"})
		if _, _, err := s.Check(t.Context(), "1.1.0", update.Check{}); err != nil {
			t.Fatal(err)
		}
		if err := s.Report(t.Context(), []update.Report{{Number: 1, Type: 3, Result: 2, Version: "1.1.0", Running: "1.1.0"}}); err != nil {
			t.Fatal(err)
		}
		if p.asked[0].Wariness != wariness || p.asked[1].Wariness != "" {
			t.Errorf("with %q the check said %q, the report %q", wariness, p.asked[0].Wariness, p.asked[1].Wariness)
		}
	}
}
