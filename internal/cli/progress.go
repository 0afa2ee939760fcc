package cli

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// Progress shows how far one long step is: a line that is redrawn on a terminal, one line at its start and
// one at its end elsewhere. Its methods may be called from several goroutines.
type Progress struct {
	out      io.Writer
	name     string
	total    int64 // bytes; 0 when unknown
	terminal bool
	now      func() time.Time

	mu    sync.Mutex
	done  int64
	start time.Time
	drawn time.Time
}

// NewProgress starts the step name of totalBytes (0 when unknown) and says so on out.
func NewProgress(out io.Writer, name string, totalBytes int64) *Progress {
	p := &Progress{out: out, name: name, total: totalBytes, terminal: isTerminal(out), now: time.Now}
	p.start = p.now()
	if !p.terminal {
		fmt.Fprintf(out, "%s …\n", name)
	}
	return p
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// Add counts n more bytes.
func (p *Progress) Add(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done += n
	now := p.now()
	if !p.terminal || now.Sub(p.drawn) < 200*time.Millisecond {
		return
	}
	p.drawn = now
	fmt.Fprintf(p.out, "\r\033[K%s  %s", p.name, p.figures(now))
}

// Write counts len(b) bytes, so that a Progress can stand in an io.MultiWriter or io.TeeReader.
func (p *Progress) Write(b []byte) (int, error) {
	p.Add(int64(len(b)))
	return len(b), nil
}

// End closes the step with what it took.
func (p *Progress) End() {
	p.mu.Lock()
	defer p.mu.Unlock()
	took := p.now().Sub(p.start).Round(100 * time.Millisecond)
	if p.terminal {
		fmt.Fprint(p.out, "\r\033[K")
	}
	if p.done > 0 {
		fmt.Fprintf(p.out, "%s: %s in %s\n", p.name, Bytes(p.done), took)
		return
	}
	fmt.Fprintf(p.out, "%s: done in %s\n", p.name, took)
}

func (p *Progress) figures(now time.Time) string {
	secs := now.Sub(p.start).Seconds()
	if secs <= 0 || p.done == 0 {
		return Bytes(p.done)
	}
	rate := float64(p.done) / secs
	text := fmt.Sprintf("%s  %s/s", Bytes(p.done), Bytes(int64(rate)))
	if p.total > p.done {
		left := time.Duration(float64(p.total-p.done) / rate * float64(time.Second)).Round(time.Second)
		text += fmt.Sprintf("  %d %%, %s left", p.done*100/p.total, left)
	}
	return text
}

// Bytes prints a size for people: decimal units, three digits.
func Bytes(n int64) string {
	value, unit := float64(n), "B"
	for _, next := range []string{"kB", "MB", "GB", "TB"} {
		if value < 1000 {
			break
		}
		value, unit = value/1000, next
	}
	if unit == "B" || value >= 100 {
		return fmt.Sprintf("%.0f %s", value, unit)
	}
	return fmt.Sprintf("%.1f %s", value, unit)
}
