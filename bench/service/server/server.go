// Package server runs conifer-server and conifer as programs, for whoever measures or tortures the service from outside.
//
// [Build] makes the programs, [Config.Start] starts one server and waits until it is ready, and [Server.Conifer] is the operator. It ends only
// what it started, and knows nothing of the service but its interface: flags, the word "ready", the admin token.
package server

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"conifer.dev/conifer/bench/service/load"
)

// readyTime is how long a start may take before it counts as failed, on however busy a machine.
const readyTime = 5 * time.Minute

// Programs are the paths of conifer-server and conifer.
type Programs struct{ Server, Conifer string }

// Build makes the programs from the sources in the module that the working directory is in.
func Build(ctx context.Context, folder string) (Programs, error) {
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", folder+"/",
		"conifer.dev/conifer/cmd/conifer-server", "conifer.dev/conifer/cmd/conifer")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		return Programs{}, fmt.Errorf("build the programs: %w\n%s", err, said)
	}
	return Programs{filepath.Join(folder, "conifer-server"), filepath.Join(folder, "conifer")}, nil
}

// Config is how a server is started. The same one starts it again after its end, on the same data.
type Config struct {
	Programs Programs
	Data     string
	Database string   // URL, "" for the SQLite file in Data
	Listen   string   // "" for a free port of the loopback
	Args     []string // further flags
	Env      []string // added to ours
	Wrap     []string // a program and its arguments that the server is started by
}

// Server is one that runs.
type Server struct {
	Config
	StartTime time.Duration // until it was ready
	cmd       *exec.Cmd
	exited    chan struct{}
	log       *tail
}

// Start a server and wait until it is ready to answer.
func (c Config) Start(ctx context.Context) (*Server, error) {
	if c.Listen == "" {
		address, err := freeAddress()
		if err != nil {
			return nil, err
		}
		c.Listen = address
	}
	args := append([]string{"--listen", c.Listen, "--data", c.Data}, c.Args...)
	if c.Database != "" {
		args = append(args, "--database", c.Database)
	}
	line := append(append(append([]string{}, c.Wrap...), c.Programs.Server), args...)
	s := &Server{Config: c, cmd: exec.Command(line[0], line[1:]...), exited: make(chan struct{}), log: &tail{}}
	s.cmd.Env = append(os.Environ(), c.Env...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	ready := make(chan struct{})
	go s.follow(stderr, ready)
	if err := s.awaitReady(ctx, ready); err != nil {
		return nil, err
	}
	s.StartTime = time.Since(began)
	return s, nil
}

func (s *Server) awaitReady(ctx context.Context, ready <-chan struct{}) error {
	ctx, stop := context.WithTimeout(ctx, readyTime)
	defer stop()
	select {
	case <-ready:
		return nil
	case <-s.exited:
		return fmt.Errorf("conifer-server ended before it was ready; it said:\n%s", s.log)
	case <-ctx.Done():
		s.Kill()
		return fmt.Errorf("conifer-server was not ready: %w; it said:\n%s", ctx.Err(), s.log)
	}
}

func (s *Server) follow(stderr io.Reader, ready chan<- struct{}) {
	defer close(s.exited)
	lines := bufio.NewScanner(stderr)
	said := false
	for lines.Scan() {
		s.log.add(lines.Text())
		if !said && strings.TrimSpace(lines.Text()) == "ready" {
			said = true
			close(ready)
		}
	}
	s.cmd.Wait()
}

// freeAddress is one that nobody listens on now.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// PID of the program.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Process is the program for whoever watches its cost.
func (s *Server) Process() load.Process { return load.Process{Name: "server", PID: s.PID()} }

// Target is where machines ask.
func (s *Server) Target() load.Target { return load.Target{Address: s.Listen, Path: "/v1/update/"} }

// Freeze stops all work of the program in the midst of it, and goes on.
func (s *Server) Freeze(stop bool) {
	signal := syscall.SIGCONT
	if stop {
		signal = syscall.SIGSTOP
	}
	_ = s.cmd.Process.Signal(signal) // one that has ended does no work either
}

// Alive reports whether the program still runs.
func (s *Server) Alive() bool {
	select {
	case <-s.exited:
		return false
	default:
		return true
	}
}

// Log is the last that it said.
func (s *Server) Log() string { return s.log.String() }

// Kill ends it at once, as a power cut does, and waits for its end.
func (s *Server) Kill() {
	s.cmd.Process.Kill()
	<-s.exited
}

// Stop asks it to end, and waits.
func (s *Server) Stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-s.exited:
		return nil
	case <-time.After(time.Minute):
		s.Kill()
		return errors.New("conifer-server did not end within a minute of being asked to")
	}
}

// Again starts a server that ended, on the same data and address.
func (s *Server) Again(ctx context.Context) (*Server, error) { return s.Config.Start(ctx) }

// tokenFile is seen through the server's eyes, because what it is wrapped in may give it mounts of its own.
func (s *Server) tokenFile() string {
	return filepath.Join(fmt.Sprintf("/proc/%d/root", s.PID()), s.Data, "admin.token")
}

// Conifer runs an operator's command against the server, and returns what it printed.
func (s *Server) Conifer(ctx context.Context, args ...string) (string, error) {
	line := append([]string{"--server", "http://" + s.Listen, "--token-file", s.tokenFile()}, args...)
	cmd := exec.CommandContext(ctx, s.Programs.Conifer, line...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("conifer %s: %w: %s", strings.Join(args, " "), err, said.Bytes())
	}
	return string(out), nil
}

// Operate runs commands in order, each a line of words without spaces in them.
func (s *Server) Operate(ctx context.Context, lines ...string) error {
	for _, line := range lines {
		if _, err := s.Conifer(ctx, strings.Fields(line)...); err != nil {
			return err
		}
	}
	return nil
}

// tail keeps the last lines of a log.
type tail struct {
	mu    sync.Mutex
	lines []string
}

func (t *tail) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) == 40 {
		t.lines = t.lines[1:]
	}
	t.lines = append(t.lines, line)
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines, "\n")
}
