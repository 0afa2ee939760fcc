// Package cli is what all four programs share as commands: the world they run in, and how they end.
//
// Start with [Env], which a test fills with buffers, and [Exit], which turns an error into a message on
// stderr and an exit code (0 done, 1 failed, 2 wrong usage). [Progress] shows long work. Results go to
// Stdout, talk to Stderr; only [Main] ends the process.
package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"conifer.dev/conifer/internal/fault"
)

// Env is the world a command runs in.
type Env struct {
	Args   []string // without the program's name
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
	Getenv func(string) string
}

// OS is the real world.
func OS() Env {
	return Env{Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv}
}

// Interactive reports whether a person can be asked: Stdin is a terminal.
func (e Env) Interactive() bool { return isTerminal(e.Stdin) }

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Main is a program's main function: it runs the command in the real world, ends its context at an interrupt or
// SIGTERM, and exits with its code.
func Main(run func(context.Context, Env) int) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, OS()))
}

// Exit reports err for program on Stderr, with its hint on a line of its own, and returns the exit code.
func (e Env) Exit(program string, err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintf(e.Stderr, "%s: %v\n", program, err)
	if hint := fault.HintOf(err); hint != "" {
		fmt.Fprintf(e.Stderr, "hint: %s\n", hint)
	}
	return fault.KindOf(err).ExitCode()
}
