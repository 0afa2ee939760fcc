package fleet

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Process is one program that runs beside us.
type Process struct {
	cmd    *exec.Cmd
	exited chan struct{}
}

// startProcess starts a program whose stderr goes to a log, and returns when it has said "ready" there.
func startProcess(ctx context.Context, logFile, program string, args ...string) (*Process, error) {
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	p := &Process{cmd: exec.Command(program, args...), exited: make(chan struct{})}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C is ours to hand on
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	ready := make(chan struct{})
	go p.follow(stderr, log, ready)
	select {
	case <-ready:
		return p, nil
	case <-p.exited:
		return nil, fmt.Errorf("%s ended before it was ready; see %s", program, logFile)
	case <-ctx.Done():
		p.Kill()
		return nil, ctx.Err()
	case <-time.After(2 * time.Minute):
		p.Kill()
		return nil, fmt.Errorf("%s was not ready after 2 minutes; see %s", program, logFile)
	}
}

func (p *Process) follow(stderr io.Reader, log io.WriteCloser, ready chan struct{}) {
	defer close(p.exited)
	defer log.Close()
	lines := bufio.NewScanner(stderr)
	said := false
	for lines.Scan() {
		fmt.Fprintln(log, lines.Text())
		if !said && strings.TrimSpace(lines.Text()) == "ready" {
			said = true
			close(ready)
		}
	}
	p.cmd.Wait()
}

// PID of the program.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Kill ends the program at once and waits for its end.
func (p *Process) Kill() {
	p.cmd.Process.Kill()
	<-p.exited
}

// Stop asks the program to end, and ends it after ten seconds.
func (p *Process) Stop() {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); errors.Is(err, os.ErrProcessDone) {
		return
	}
	select {
	case <-p.exited:
	case <-time.After(10 * time.Second):
		p.Kill()
	}
}
