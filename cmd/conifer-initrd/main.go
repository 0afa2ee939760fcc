// Command conifer-initrd is the /init of a machine's initramfs: it opens the verified root and starts systemd in
// it. It takes no arguments and only makes sense as process 1; see internal/machine/initrd.
package main

import (
	"fmt"
	"os"

	"conifer.dev/conifer/internal/machine/initrd"
)

func main() {
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "conifer-initrd: this is process 1 of an initramfs and nothing else")
		os.Exit(2)
	}
	initrd.Main()
}
