// Command conifer-cluster stands beside a cluster and lets its machines reboot one after another: it serves
// FleetLock, keeps the locks in etcd, and shows and releases them for the operator. Start with [Run]; how to
// operate it is docs/ops/cluster.md. It never takes a lock away from a machine by itself.
package main

import "conifer.dev/conifer/internal/cli"

func main() { cli.Main(Run) }
