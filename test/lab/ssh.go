package lab

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// SSHKey is a key pair made for one lab.
type SSHKey struct {
	signer ssh.Signer
	pem    []byte
}

// NewSSHKey makes a key that lives as long as its lab.
func NewSSHKey() (*SSHKey, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(private, "conifer lab")
	if err != nil {
		return nil, err
	}
	return &SSHKey{signer, pem.EncodeToMemory(block)}, nil
}

// Authorized is the public half as a line of authorized_keys.
func (k *SSHKey) Authorized() string { return string(ssh.MarshalAuthorizedKey(k.signer.PublicKey())) }

// WriteFile leaves the private half for a person who wants to look at a machine.
func (k *SSHKey) WriteFile(path string) error { return os.WriteFile(path, k.pem, 0o600) }

// Run executes a shell command on the machine as root and returns its stdout. The error of a command that
// ran and failed holds its stderr.
func (m *Machine) Run(ctx context.Context, command string) (string, error) {
	client, err := m.dial(ctx)
	if err != nil {
		return "", fmt.Errorf("ssh to %s: %w", m.Name, err)
	}
	defer client.Close()
	stop := context.AfterFunc(ctx, func() { client.Close() })
	defer stop()
	session, err := client.NewSession()
	if err != nil {
		return "", fmt.Errorf("ssh to %s: %w", m.Name, err)
	}
	var stdout, stderr bytes.Buffer
	session.Stdout, session.Stderr = &stdout, &stderr
	if err := session.Run(command); err != nil {
		return stdout.String(), fmt.Errorf("on %s: %s: %w: %s", m.Name, command, err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

func (m *Machine) dial(ctx context.Context) (*ssh.Client, error) {
	config := &ssh.ClientConfig{
		User: "root",
		Auth: []ssh.AuthMethod{ssh.PublicKeys(m.lab.Key.signer)},
		// The host key is made at the machine's first boot; on loopback there is nobody in between.
		HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	}
	address := fmt.Sprintf("127.0.0.1:%d", m.Port(22))
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	// An emulated machine takes seconds for a key exchange; one that is off never answers.
	deadline := time.Now().Add(30 * time.Second)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	conn.SetDeadline(deadline)
	c, channels, requests, err := ssh.NewClientConn(conn, address, config)
	if err != nil {
		conn.Close()
		return nil, err
	}
	conn.SetDeadline(time.Time{})
	return ssh.NewClient(c, channels, requests), nil
}
