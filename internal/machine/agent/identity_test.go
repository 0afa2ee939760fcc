package agent

import (
	"errors"
	"strings"
	"testing"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/dm"
)

func TestTheKernelMustEnforceTheRootHashOfTheCommandLine(t *testing.T) {
	hash := strings.Repeat("ab", 32)
	row := func(kind, hash string) dm.Target {
		return dm.Target{Type: kind, Parameters: "1 254:2 254:3 4096 4096 10 1 sha256 " + hash + " 00"}
	}
	cases := []struct {
		name  string
		table []dm.Target
		err   error
		want  fault.Kind
	}{
		{"the same", []dm.Target{row("verity", hash)}, nil, -1},
		{"another root", []dm.Target{row("verity", strings.Repeat("cd", 32))}, nil, fault.Untrusted},
		{"no verity", []dm.Target{row("linear", hash)}, nil, fault.Invalid},
		{"pieced together", []dm.Target{row("verity", hash), row("verity", hash)}, nil, fault.Untrusted},
		{"no such device", nil, errors.New("no such device"), fault.Unsupported},
	}
	for _, c := range cases {
		err := checkEnforced(hash, func(string) ([]dm.Target, error) { return c.table, c.err })
		if c.want < 0 && err != nil || c.want >= 0 && !fault.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
}
