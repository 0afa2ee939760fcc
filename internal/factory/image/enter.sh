#!/bin/sh
# enter.sh TOOLS [HOST-FOLDER INNER-FOLDER]... -- COMMAND...: runs a command with the tools tree as its root. A plain chroot
# does not do for mkosi, whose sandbox needs / to be a mount point. Runs in a mount namespace of its own.
set -eu
tools=$1
shift
mount --make-rprivate /
mount --bind "$tools" "$tools"
while [ "$1" != -- ]; do
	mount --bind "$1" "$tools$2"
	shift 2
done
shift
mount --rbind /dev "$tools/dev"
mount --rbind /sys "$tools/sys"
mount -t proc proc "$tools/proc"
mount -t tmpfs tmpfs "$tools/tmp"
mount -t tmpfs tmpfs "$tools/run"
for file in resolv.conf hosts; do
	# The host's may be a link to something that does not exist in there.
	cat "/etc/$file" >"$tools/run/$file" || true
	mount --bind "$tools/run/$file" "$tools/etc/$file"
done
cd "$tools"
mkdir run/host
pivot_root . run/host
umount -l /run/host
exec "$@"
