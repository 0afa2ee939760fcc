// Package osdef carries the definition of the OS image inside the program that builds it: package list, files,
// links, removals, and the modules of the initrd.
//
// Start with [Files]. mkosi.conf, mkosi.conf.d and mkosi.finalize are mkosi's; root/ is laid over what mkosi makes, where
// root/.links and root/.remove say what a folder of files cannot; docs/design/image.md says why. The package
// reads nothing and decides nothing.
package osdef

import "embed"

// Files is the definition, with paths relative to the folder os.
//
//go:embed mkosi.conf mkosi.conf.d mkosi.finalize tools.packages initrd.modules cmdline loader.conf all:root
var Files embed.FS
