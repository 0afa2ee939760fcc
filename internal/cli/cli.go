// Package cli is what all four programs share as commands: the world they run in, and how they end.
//
// Start with [Env], which a test fills with buffers, and [Exit], which turns an error into a message on
// stderr and an exit code (0 done, 1 failed, 2 wrong usage). [Progress] shows long work. Results go to
// Stdout, talk to Stderr; nothing in here ends the process.
package cli

import (
	"fmt"
	"io"
	"os"

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
