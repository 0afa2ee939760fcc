package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"conifer.dev/conifer/internal/fault"
)

type sample struct {
	Server string `toml:"server"`
	Poll   struct {
		Every string `toml:"every"`
	} `toml:"poll"`
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestDropInsReplaceSingleValuesInOrder(t *testing.T) {
	main := filepath.Join(t.TempDir(), "agent.toml")
	write(t, main, "server = \"a\"\n[poll]\nevery = \"1h\"\n")
	write(t, filepath.Join(DropInFolder(main), "60-late.toml"), "server = \"c\"\n")
	write(t, filepath.Join(DropInFolder(main), "50-site.toml"), "server = \"b\"\n")
	var s sample
	c, err := Load(main, &s)
	if err != nil {
		t.Fatal(err)
	}
	if s.Server != "c" || s.Poll.Every != "1h" {
		t.Errorf("got %+v", s)
	}
	var out strings.Builder
	if err := c.Print(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`server = "c"  # ` + c.Origin("server"), "60-late.toml", `every = "1h"  # ` + main} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("print lacks %q:\n%s", want, out.String())
		}
	}
}

func TestUnknownKeyIsRefused(t *testing.T) {
	main := filepath.Join(t.TempDir(), "agent.toml")
	write(t, main, "sever = \"a\"\n")
	_, err := Load(main, &sample{})
	if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), `unknown key "sever"`) {
		t.Errorf("got %v", err)
	}
}

func TestMissingFilesMeanDefaults(t *testing.T) {
	s := sample{Server: "default"}
	c, err := Load(filepath.Join(t.TempDir(), "none.toml"), &s)
	if err != nil || s.Server != "default" || c.Origin("server") != "default" {
		t.Errorf("got %+v, %v", s, err)
	}
}
