package folder

import (
	"os"

	"golang.org/x/sys/unix"
)

// paceBytes is how much of a large write may wait for the disk at once. A slow card takes some 25 ms for it, which is what somebody
// else's read then waits, too.
const paceBytes = 512 << 10

// WriteAtPaced writes in pieces, each of which has gone to the disk before the next. Left to itself the kernel keeps megabytes and hands them
// over together at the next sync, and where the disk is slow, everybody's reads stand behind them in its queue. It is no sync:
// what the disk itself holds back is not durable.
func WriteAtPaced(file *os.File, p []byte, offset int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := file.WriteAt(p[done:min(done+paceBytes, len(p))], offset+int64(done))
		if err == nil {
			err = os.NewSyscallError("sync_file_range", unix.SyncFileRange(int(file.Fd()), offset+int64(done), int64(n),
				unix.SYNC_FILE_RANGE_WAIT_BEFORE|unix.SYNC_FILE_RANGE_WRITE|unix.SYNC_FILE_RANGE_WAIT_AFTER))
		}
		done += n
		if err != nil {
			return done, err
		}
	}
	Forget(file, offset, int64(done))
	return done, nil
}

// Forget tells the kernel that a part of a file is not read again soon, so that it does not push out of memory what the applications
// read. It is advice, and nothing depends on it.
func Forget(file *os.File, offset, sizeBytes int64) {
	_ = unix.Fadvise(int(file.Fd()), offset, sizeBytes, unix.FADV_DONTNEED)
}

// paced is a file that is written from its beginning to its end. It hides what else an os.File can do, which would write past it.
type paced struct {
	file   *os.File
	offset int64
}

// Write implements io.Writer.
func (f *paced) Write(p []byte) (int, error) {
	n, err := WriteAtPaced(f.file, p, f.offset)
	f.offset += int64(n)
	return n, err
}

// Sync makes durable what was written.
func (f *paced) Sync() error { return f.file.Sync() }

// Close implements io.Closer.
func (f *paced) Close() error { return f.file.Close() }
