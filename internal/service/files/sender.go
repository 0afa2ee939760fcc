package files

import (
	"io"
	"net/http"
	"time"
)

// A transfer may take as long as it needs, while it moves: each chunk has to be gone within the time.
const (
	chunkBytes = 1 << 20
	chunkTime  = 60 * time.Second
)

// sender counts what is sent, and gives every chunk its time. It keeps the path by which the kernel copies a file to a
// socket by itself.
type sender struct {
	http.ResponseWriter
	control *http.ResponseController
	bytes   int64
}

// WriteHeader starts the time of the first chunk. A server that cannot set deadlines (in tests) has none.
func (s *sender) WriteHeader(status int) {
	_ = s.control.SetWriteDeadline(time.Now().Add(chunkTime))
	s.ResponseWriter.WriteHeader(status)
}

func (s *sender) Write(b []byte) (int, error) {
	_ = s.control.SetWriteDeadline(time.Now().Add(chunkTime))
	n, err := s.ResponseWriter.Write(b)
	s.bytes += int64(n)
	return n, err
}

// ReadFrom sends in chunks. http.ServeContent passes a limited reader of the file, which the connection recognises
// only unwrapped; so the chunk's limit replaces its own.
func (s *sender) ReadFrom(source io.Reader) (int64, error) {
	limited, ok := source.(*io.LimitedReader)
	if !ok {
		return io.Copy(struct{ io.Writer }{s}, source)
	}
	var total int64
	for limited.N > 0 {
		_ = s.control.SetWriteDeadline(time.Now().Add(chunkTime))
		n, err := io.CopyN(s.ResponseWriter, limited.R, min(limited.N, chunkBytes))
		limited.N -= n
		s.bytes += n
		total += n
		if err != nil {
			return total, err
		}
	}
	return total, nil
}
