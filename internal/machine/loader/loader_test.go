package loader

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"conifer.dev/conifer/internal/fault"
)

// variables is a folder as efivarfs shows it after a boot by systemd-boot 257.
func variables(t *testing.T, features string) Loader {
	t.Helper()
	l := Loader{Folder: t.TempDir()}
	if features != "" {
		put(t, l, featuresFile, features)
	}
	return l
}

func put(t *testing.T, l Loader, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(l.Folder, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// systemd257 is what LoaderFeatures held on a machine: attributes, then the bits.
const systemd257 = "\x06\x00\x00\x00\xff\x3f\x03\x00\x00\x00\x00\x00"

func TestStartOnceWritesTheVariable(t *testing.T) {
	want := []byte("\x07\x00\x00\x00c\x00_\x001\x00.\x00e\x00f\x00i\x00\x00\x00")
	for name, before := range map[string]string{"none": "", "another": "\x07\x00\x00\x00a\x00 \x00l\x00o\x00n\x00g\x00e\x00r\x00 \x00o\x00n\x00e\x00\x00\x00", "the same": string(want)} {
		l := variables(t, systemd257)
		if before != "" {
			put(t, l, onceFile, before)
		}
		if err := l.StartOnce("c_1.efi"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		got, err := os.ReadFile(filepath.Join(l.Folder, "LoaderEntryOneShot-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: the variable is %q, %v; want %q", name, got, err, want)
		}
	}
}

func TestALoaderThatCannotBeToldIsUnsupported(t *testing.T) {
	for features, message := range map[string]string{
		"": "there is no EFI variable LoaderFeatures in ",
		"\x06\x00\x00\x00\xf7\x00\x00\x00\x00\x00\x00\x00": "does not know LoaderEntryOneShot",
		"\x06\x00\x00\x00\xff":                             "does not know LoaderEntryOneShot",
	} {
		l := variables(t, features)
		for what, err := range map[string]error{"Check": l.Check(), "StartOnce": l.StartOnce("c_1.efi")} {
			if !fault.Is(err, fault.Unsupported) || !strings.Contains(err.Error(), message) || fault.HintOf(err) == "" {
				t.Errorf("%s with features %x: kind %v, %v", what, features, fault.KindOf(err), err)
			}
		}
		if _, err := os.Stat(filepath.Join(l.Folder, onceFile)); err == nil {
			t.Errorf("with features %x the variable was written", features)
		}
	}
	if err := variables(t, systemd257).Check(); err != nil {
		t.Error(err)
	}
}

func TestAVariableThatCannotBeWrittenIsNamed(t *testing.T) {
	l := variables(t, systemd257)
	if err := os.MkdirAll(filepath.Join(l.Folder, onceFile, "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := l.StartOnce("c_1.efi"); err == nil || !strings.Contains(err.Error(), "LoaderEntryOneShot") {
		t.Errorf("got %v", err)
	}
}
