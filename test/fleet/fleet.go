// Package fleet sets up a whole small fleet on one host for the demo and the end-to-end tests: the real
// programs (conifer-server on SQLite, conifer-cluster on its embedded etcd), a repository with real keys,
// a container registry, and virtual machines that were provisioned to use them.
//
// Start with [Open] and [Fleet.NewMachine]; publish with [Fleet.Publish]; look with [Machine.Inspect], which
// asks the machine itself. It uses the programs as an operator would, by their command lines, and nothing behind them.
package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"conifer.dev/conifer/internal/service/client"
	"conifer.dev/conifer/test/lab"
)

// App is the application id of our own operating system.
const App = "conifer-os"

// Options are the places a fleet is made of.
type Options struct {
	Folder   string    // for this fleet alone: data, logs, disks
	Binaries string    // folder of conifer, conifer-server, conifer-cluster
	Tools    string    // root of the pinned tools tree
	Keys     string    // folder of signing keys; the images trust their root
	Commands io.Writer // every conifer command is echoed here
}

// Fleet is a running service and cluster program, and the machines that were added.
type Fleet struct {
	Options
	Lab      *lab.Lab
	Registry *lab.Registry
	Server   *Process
	Cluster  *Process
	Machines []*Machine

	serverPort, clusterPort int
}

// Open starts the service, the cluster program and the registry.
func Open(ctx context.Context, o Options) (*Fleet, error) {
	if err := os.MkdirAll(o.Folder, 0o755); err != nil {
		return nil, err
	}
	f := &Fleet{Options: o}
	if err := f.start(ctx); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func (f *Fleet) start(ctx context.Context) (err error) {
	// The keys' first repository holds the root that the images trust; this fleet's begins as a copy of it.
	if err := os.CopyFS(f.Repository(), os.DirFS(filepath.Join(f.Keys, "first"))); err != nil {
		return err
	}
	if f.Lab, err = lab.Open(ctx, f.Folder, f.Tools); err != nil {
		return err
	}
	if f.Registry, err = lab.NewRegistry(ctx); err != nil {
		return err
	}
	if f.serverPort, err = lab.FreePort(); err != nil {
		return err
	}
	if f.clusterPort, err = lab.FreePort(); err != nil {
		return err
	}
	if err := f.StartServer(ctx); err != nil {
		return err
	}
	f.Cluster, err = startProcess(ctx, filepath.Join(f.Folder, "cluster.log"), filepath.Join(f.Binaries, "conifer-cluster"),
		"--listen", fmt.Sprintf("127.0.0.1:%d", f.clusterPort), "--data", filepath.Join(f.Folder, "cluster"))
	return err
}

// StartServer starts the service, again if it was stopped: its address and data stay.
func (f *Fleet) StartServer(ctx context.Context) (err error) {
	f.Server, err = startProcess(ctx, filepath.Join(f.Folder, "server.log"), filepath.Join(f.Binaries, "conifer-server"),
		"--listen", fmt.Sprintf("127.0.0.1:%d", f.serverPort), "--data", f.serverData(), "--dev")
	return err
}

func (f *Fleet) serverData() string { return filepath.Join(f.Folder, "server") }

// ServerURL is the service as the host reaches it.
func (f *Fleet) ServerURL() string { return fmt.Sprintf("http://127.0.0.1:%d", f.serverPort) }

// TokenFile holds the service's admin token.
func (f *Fleet) TokenFile() string { return filepath.Join(f.serverData(), "admin.token") }

// Close ends every process that the fleet started.
func (f *Fleet) Close() {
	for _, m := range f.Machines {
		m.Kill()
	}
	for _, p := range []*Process{f.Server, f.Cluster} {
		if p != nil {
			p.Stop()
		}
	}
	if f.Registry != nil {
		f.Registry.Close()
	}
}

// Conifer runs one conifer command against the service and returns its stdout.
func (f *Fleet) Conifer(ctx context.Context, args ...string) (string, error) {
	if f.Commands != nil {
		fmt.Fprintf(f.Commands, "conifer %s\n", strings.Join(args, " "))
	}
	full := append([]string{"--server", f.ServerURL(), "--token-file", f.TokenFile()}, args...)
	cmd := exec.CommandContext(ctx, filepath.Join(f.Binaries, "conifer"), full...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("conifer %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// Repository is the folder that releases are signed into.
func (f *Fleet) Repository() string { return filepath.Join(f.Folder, "repository") }

// Publish signs a release folder and uploads it; no channel points at it yet. It has the full payload only.
func (f *Fleet) Publish(ctx context.Context, release string) error { return f.publish(ctx, release, 0) }

// PublishWithDelta does the same, and makes a delta from the release before.
func (f *Fleet) PublishWithDelta(ctx context.Context, release string) error {
	return f.publish(ctx, release, 1)
}

func (f *Fleet) publish(ctx context.Context, release string, deltas int) error {
	_, err := f.Conifer(ctx, "release", "publish", release, "--repository", f.Repository(), "--keys", f.Keys, "--upload", "--deltas", fmt.Sprint(deltas))
	return err
}

// Halted asks the service whether a release is halted, and why.
func (f *Fleet) Halted(ctx context.Context, version string) (halted bool, reason string, err error) {
	out, err := f.quietly().Conifer(ctx, "release", "show", version, "--app", App, "--arch", "amd64", "--json")
	if err != nil {
		return false, "", err
	}
	var shown struct {
		Halted bool   `json:"halted"`
		Reason string `json:"halt_reason"`
	}
	err = json.Unmarshal([]byte(out), &shown)
	return shown.Halted, shown.Reason, err
}

// quietly is the same fleet without the echo of commands, for questions that are asked again and again.
func (f *Fleet) quietly() *Fleet {
	quiet := *f
	quiet.Commands = nil
	return &quiet
}

// Transferred is how many bytes the service has sent of each release, by version.
func (f *Fleet) Transferred(ctx context.Context) (map[string]int64, error) {
	token, err := client.ReadToken(f.TokenFile())
	if err != nil {
		return nil, err
	}
	c, err := client.New(f.ServerURL(), token)
	if err != nil {
		return nil, err
	}
	uses, err := c.FileUsage(ctx)
	if err != nil {
		return nil, err
	}
	sent := map[string]int64{}
	for _, use := range uses {
		version := "metadata"
		if parts := strings.Split(use.Path, "/"); len(parts) == 4 {
			version = parts[2]
		}
		sent[version] += use.Bytes
	}
	return sent, nil
}

// Promote points a channel at a version.
func (f *Fleet) Promote(ctx context.Context, channel, version string) error {
	_, err := f.Conifer(ctx, "channel", "set", channel, "--app", App, "--arch", "amd64", "--release", version)
	return err
}
