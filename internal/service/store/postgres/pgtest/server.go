package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Server is a PostgreSQL server that runs, or that a test has stopped.
type Server struct {
	folder   string // holds the data, the socket and the log
	programs string // folder of initdb and postgres
	owner    *syscall.Credential
	guard    *exec.Cmd
	lifeline io.Closer // the guard acts when this closes

	process *exec.Cmd
	exited  chan struct{} // closed when process has ended
}

// access is the server's pg_hba.conf. The role guarded is for tests of passwords.
const access = "local all guarded scram-sha-256\nlocal all all trust\n"

// settings keep the server off the network. fsync stays on: the tests are about durability.
var settings = []string{"-c", "listen_addresses=", "-c", "fsync=on", "-c", "max_connections=60", "-c", "log_min_messages=fatal"}

// guardScript waits for the end of the test program, which closes the script's input however it comes, ends the server
// that was left and takes the folder away.
const guardScript = `cat >/dev/null
if pid=$(head -n 1 data/postmaster.pid 2>/dev/null); then
  kill -QUIT "$pid"
  for try in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$pid" && sleep 0.2; done
fi 2>/dev/null
cd / && rm -rf "$1"`

func start() (*Server, error) {
	programs, err := installed("/usr/lib/postgresql")
	if err != nil {
		return nil, err
	}
	owner, err := unprivileged()
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "conifer-pg-")
	if err != nil {
		return nil, err
	}
	s := &Server{folder: folder, programs: programs, owner: owner}
	if err := errors.Join(s.own(), s.watch()); err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	if err := errors.Join(s.initialize(), s.run()); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *Server) own() error {
	if s.owner == nil {
		return nil
	}
	return os.Chown(s.folder, int(s.owner.Uid), int(s.owner.Gid))
}

// program is a command in the server's folder. It has a process group of its own: an interrupt at the terminal is the test's.
func (s *Server) program(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = s.folder
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner, Setpgid: true}
	return cmd
}

func (s *Server) watch() error {
	s.guard = s.program("/bin/sh", "-c", guardScript, "guard", s.folder)
	lifeline, err := s.guard.StdinPipe()
	if err != nil {
		return err
	}
	s.lifeline = lifeline
	return s.guard.Start()
}

func (s *Server) data() string { return filepath.Join(s.folder, "data") }

func (s *Server) initialize() error {
	initdb := s.program(filepath.Join(s.programs, "initdb"), "--pgdata", s.data(), "--username", "postgres",
		"--encoding", "UTF8", "--auth", "trust", "--no-sync")
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	return os.WriteFile(filepath.Join(s.data(), "pg_hba.conf"), []byte(access), 0o644)
}

// run starts the server and waits until it answers. One that was killed leaves children that end by themselves a moment later,
// and until then no other can start: so it is tried again.
func (s *Server) run() error {
	var err error
	for range 50 {
		if err = s.try(); err == nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return err
}

func (s *Server) try() error {
	log, err := os.Create(filepath.Join(s.folder, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	s.process = s.program(filepath.Join(s.programs, "postgres"), append([]string{"-D", s.data(), "-k", s.folder}, settings...)...)
	s.process.Stdout, s.process.Stderr = log, log
	if err := s.process.Start(); err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	s.exited = make(chan struct{})
	go func() {
		defer close(s.exited)
		s.process.Wait() // how it ended is in its log
	}()
	return s.ready()
}

// ready waits until the server answers, or has ended.
func (s *Server) ready() error {
	for {
		conn, err := pgx.Connect(context.Background(), s.URL("postgres"))
		if err == nil {
			return conn.Close(context.Background())
		}
		select {
		case <-s.exited:
			log, _ := os.ReadFile(filepath.Join(s.folder, "log"))
			return fmt.Errorf("PostgreSQL ended while it started; its log: %s", bytes.TrimSpace(log))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (s *Server) signal(sig syscall.Signal) {
	s.process.Process.Signal(sig) // fails only for a process that has ended
	<-s.exited
}

// Stop ends the server in order; whoever is connected is cut off.
func (s *Server) Stop() { s.signal(syscall.SIGINT) }

// Kill ends the server as a crash does: the next start has to recover. Its children, which would go on answering for a moment, are dead
// too when it returns. The server is stopped before they are counted, so that it makes no more.
func (s *Server) Kill() {
	s.process.Process.Signal(syscall.SIGSTOP)
	children := s.children()
	for _, pid := range children {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	s.signal(syscall.SIGKILL)
	for _, pid := range children {
		for running(pid) {
			time.Sleep(time.Millisecond)
		}
	}
}

// running reports whether a process is there and is not one that only waits to be taken note of.
func running(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, after, _ := bytes.Cut(stat, []byte(") "))
	return len(after) > 0 && after[0] != 'Z' && after[0] != 'X'
}

// Freeze stops the server from doing anything, and returns what lets it go on. Connections stay open and are not answered.
func (s *Server) Freeze() (thaw func()) {
	all := append(s.children(), s.process.Process.Pid)
	for _, pid := range all {
		syscall.Kill(pid, syscall.SIGSTOP)
	}
	return func() {
		for _, pid := range all {
			syscall.Kill(pid, syscall.SIGCONT)
		}
	}
}

func (s *Server) children() []int {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", s.process.Process.Pid))
	var pids []int
	for _, field := range bytes.Fields(text) {
		var pid int
		fmt.Sscan(string(field), &pid)
		pids = append(pids, pid)
	}
	return pids
}

// Restart starts the server again, with everything that was committed.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	if err := s.run(); err != nil {
		t.Fatal(err)
	}
}

// close ends the server and takes its folder away, by letting the guard do it.
func (s *Server) close() error {
	err := s.lifeline.Close()
	s.guard.Wait() // its script ends with rm, which says nothing worth a test's attention
	return err
}
