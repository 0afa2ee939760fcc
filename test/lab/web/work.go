package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	workBytes = 16 << 10
	diskBlock = 4 << 10
)

// work does a little of what applications do: it reads a random part of a file, and computes. The file is this program, which
// every machine has; it is read past the page cache, so that the disk has to answer each time.
func work(w http.ResponseWriter, _ *http.Request) {
	sum, err := readAndHash("/proc/self/exe")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprintf(w, "%x\n", sum)
}

func readAndHash(path string) (sum [sha256.Size]byte, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECT, 0)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return sum, err
	}
	buf := aligned(workBytes)
	places := max((info.Size()-workBytes)/diskBlock, 1)
	n, err := f.ReadAt(buf, rand.Int64N(places)*diskBlock)
	if err != nil && err != io.EOF {
		return sum, err
	}
	return sha256.Sum256(buf[:n]), nil
}

// aligned makes a buffer that begins where reading past the page cache wants it to (O_DIRECT in open(2)).
func aligned(n int) []byte {
	buf := make([]byte, n+diskBlock)
	skip := diskBlock - int(uintptr(unsafe.Pointer(unsafe.SliceData(buf)))%diskBlock)
	return buf[skip : skip+n]
}
