package agent

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/dm"
	"conifer.dev/conifer/internal/machine/update"
	"conifer.dev/conifer/internal/wire/release"
)

// Identity is who this machine is and what it runs.
type Identity struct {
	MachineID string // derived, never the raw one
	BootID    string
	Arch      string // Debian's name
	Running   update.Release
}

// appID makes this program's machine ids differ from those of any other: see sd_id128_get_machine_app_specific(3).
var appID = [16]byte{0x6f, 0x1c, 0x1e, 0x92, 0x40, 0xd7, 0x4b, 0x0c, 0x9a, 0x35, 0x2b, 0xe7, 0x58, 0x03, 0xf4, 0xad}

// ReadIdentity reads it from the files of the operating system below root.
func ReadIdentity(root string) (Identity, error) {
	id := Identity{Arch: runtime.GOARCH}
	machine, err := readWord(root, "etc/machine-id")
	if err != nil {
		return id, err
	}
	if id.MachineID, err = deriveID(machine); err != nil {
		return id, err
	}
	if id.BootID, err = readWord(root, "proc/sys/kernel/random/boot_id"); err != nil {
		return id, err
	}
	id.Running, err = readRunning(root)
	return id, err
}

func readWord(root, path string) (string, error) {
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		return "", fault.New(fault.NotFound, "read identity: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// deriveID is the machine ID that systemd derives for an application, so that the raw one never leaves the machine.
func deriveID(machineID string) (string, error) {
	raw, err := hex.DecodeString(machineID)
	if err != nil || len(raw) != 16 {
		return "", fault.New(fault.Invalid, "/etc/machine-id holds no machine ID")
	}
	mac := hmac.New(sha256.New, raw)
	mac.Write(appID[:])
	id := mac.Sum(nil)[:16]
	id[6] = id[6]&0x0f | 0x40 // UUID version 4, RFC 9562
	id[8] = id[8]&0x3f | 0x80
	return hex.EncodeToString(id), nil
}

// readRunning finds out which release runs: its name from the verified root, its root hash from the command line that
// the boot loader measured and dm-verity enforces.
func readRunning(root string) (update.Release, error) {
	osRelease, err := readWord(root, "usr/lib/os-release")
	if err != nil {
		return update.Release{}, err
	}
	running := update.Release{Version: assignment(strings.Split(osRelease, "\n"), "IMAGE_VERSION")}
	if !release.ValidVersion(running.Version) {
		return update.Release{}, fault.New(fault.Invalid, "os-release has the IMAGE_VERSION %q", running.Version).
			WithHint("This is not a Conifer image.")
	}
	cmdline, err := readWord(root, "proc/cmdline")
	if err != nil {
		return update.Release{}, err
	}
	running.RootHash = assignment(strings.Fields(cmdline), "roothash")
	if b, err := hex.DecodeString(running.RootHash); err != nil || len(b) != 32 {
		return update.Release{}, fault.New(fault.Invalid, "the kernel command line has the roothash %q", running.RootHash)
	}
	return running, nil
}

// rootDevice is what conifer-initrd calls the verified root.
const rootDevice = "root"

// checkEnforced asks the kernel for the root hash that dm-verity enforces. A machine whose root is another one than its
// command line says is not what it claims to be, and reports of it would be wrong.
func checkEnforced(rootHash string, table func(string) ([]dm.Target, error)) error {
	targets, err := table(rootDevice)
	if err != nil {
		return fault.New(fault.Unsupported, "read which root hash is enforced: %w", err).
			WithHint("The agent runs on machines that conifer-initrd has started.")
	}
	if len(targets) != 1 {
		return fault.New(fault.Untrusted, "the root device has %d targets, want one of dm-verity", len(targets))
	}
	enforced, err := dm.VerityHash(targets[0])
	if err != nil {
		return err
	}
	if enforced != rootHash {
		return fault.New(fault.Untrusted, "the kernel enforces root hash %s, the command line says %s", enforced, rootHash)
	}
	return nil
}

// assignment finds the last value of name.
func assignment(items []string, name string) string {
	value := ""
	for _, item := range items {
		if v, ok := strings.CutPrefix(item, name+"="); ok {
			value = strings.Trim(v, `"'`)
		}
	}
	return value
}
