// Package lab runs real machines for the demo and the end-to-end tests: QEMU guests with UEFI firmware that
// boot our disk images, a registry that serves one small application, and probes that watch from outside.
//
// Start with [Open], then [Lab.NewMachine] and [Machine.Start]. Everything listens on loopback; guests reach
// the host as [Host] through QEMU's user network and nothing else. A lab starts processes and ends
// exactly those. It knows nothing of releases: it is the world around them.
package lab

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// Host is the address under which a guest reaches services on the host's loopback.
const Host = "10.0.2.2"

// Lab is a folder for machines, and the tools tree that QEMU and the firmware come from.
type Lab struct {
	Folder string // disks, consoles, sockets
	Tools  string // root of the pinned tools tree
	Accel  Accel
	Key    *SSHKey // authorized on every machine
}

// Open makes a lab in folder, which must exist, and probes how guests can be run.
func Open(ctx context.Context, folder, tools string) (*Lab, error) {
	key, err := NewSSHKey()
	if err != nil {
		return nil, err
	}
	folder, err = filepath.Abs(folder)
	if err != nil {
		return nil, err
	}
	l := &Lab{Folder: folder, Tools: tools, Key: key}
	l.Accel = l.probeAccel(ctx)
	return l, nil
}

// FreePort asks the kernel for a loopback TCP port that nothing listens on.
func FreePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// file returns a path in the tools tree.
func (l *Lab) file(path string) string { return filepath.Join(l.Tools, path) }

// firmware finds OVMF's code and variable template in the tools tree.
func (l *Lab) firmware() (code, vars string, err error) {
	code, vars = l.file("usr/share/OVMF/OVMF_CODE_4M.fd"), l.file("usr/share/OVMF/OVMF_VARS_4M.fd")
	for _, f := range []string{code, vars} {
		if _, err := os.Stat(f); err != nil {
			return "", "", fmt.Errorf("find UEFI firmware: %w", err)
		}
	}
	return code, vars, nil
}
