package memory

import (
	"os"
	"reflect"
	"regexp"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// What is mapped of the program and not written to is found, and nothing else.
func TestMapped(t *testing.T) {
	maps := `00400000-009cc000 r-xp 00000000 fe:00 9986079                            /usr/bin/conifer-agent
009cc000-01001000 r--p 005cc000 fe:00 9986079                            /usr/bin/conifer-agent
01001000-01068000 rw-p 00c01000 fe:00 9986079                            /usr/bin/conifer-agent
01068000-03100000 rw-p 00000000 00:00 0
7f0000000000-7f0000001000 r--p 00000000 fe:00 12                         /var/usr/bin/conifer-agent
7fff00000000-7fff00001000 r-xp 00000000 00:00 0                          [vdso]
`
	want := []region{{0x400000, 0x9cc000}, {0x9cc000, 0x1001000}}
	if got := mapped(maps, "/usr/bin/conifer-agent"); !reflect.DeepEqual(got, want) {
		t.Errorf("mapped: %x, want %x", got, want)
	}
	if got := mapped("nonsense\n1-z r--p 0 0 0 /x\n2-1 r--p 0 0 0 /x\n", "/x"); got != nil {
		t.Errorf("mapped in nonsense: %x", got)
	}
}

// A process has less of its program in memory after it, and goes on. Of a program on a tmpfs, which is in memory itself, nothing can be taken.
func TestSpare(t *testing.T) {
	var on unix.Statfs_t
	if err := unix.Statfs("/proc/self/exe", &on); err != nil {
		t.Fatal(err)
	}
	before := programBytes(t)
	if err := Spare(); err != nil {
		t.Fatal(err)
	}
	if after := programBytes(t); after >= before && on.Type != unix.TMPFS_MAGIC {
		t.Errorf("%d bytes of files are in memory, %d before", after, before)
	}
}

// programBytes is how much of mapped files is in memory, by proc_pid_status(5).
func programBytes(t *testing.T) int {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^RssFile:\s+(\d+) kB$`).FindSubmatch(status)
	if line == nil {
		t.Fatalf("no RssFile in %s", status)
	}
	n, err := strconv.Atoi(string(line[1]))
	if err != nil {
		t.Fatal(err)
	}
	return n << 10
}
