// Command conifer is the operator's command line, and the factory: it builds images, makes and signs
// releases, and steers the service. Each noun is one file; start with [Run].
package main

import "conifer.dev/conifer/internal/cli"

func main() { cli.Main(Run) }
