package cli

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// redrawEvery is how often a terminal shows another figure.
const redrawEvery = 500 * time.Millisecond

// Progress shows how far one long step is: a line that is redrawn on a terminal, one line at its start and
// one at its end elsewhere. Its methods may be called from several goroutines.
type Progress struct {
	out      io.Writer
	name     string
	total    int64         // bytes; 0 when unknown
	usual    time.Duration // how long the step takes where that is known; 0 otherwise
	terminal bool
	now      func() time.Time
	stop     chan struct{} // ends the redrawing

	mu    sync.Mutex
	done  int64
	start time.Time
}

// NewProgress starts the step name of totalBytes (0 when unknown) and says so on out.
func NewProgress(out io.Writer, name string, totalBytes int64) *Progress {
	p := &Progress{out: out, name: name, total: totalBytes}
	p.begin()
	return p
}

// NewWait starts a step that counts nothing, but usually takes so long; 0 when that is unknown.
func NewWait(out io.Writer, name string, usual time.Duration) *Progress {
	p := &Progress{out: out, name: name, usual: usual}
	p.begin()
	return p
}

func (p *Progress) begin() {
	p.terminal, p.now, p.stop = isTerminal(p.out), time.Now, make(chan struct{})
	p.start = p.now()
	switch {
	case p.terminal:
		go p.redraw()
	case p.usual > 0:
		fmt.Fprintf(p.out, "%s, about %s …\n", p.name, p.usual)
	default:
		fmt.Fprintf(p.out, "%s …\n", p.name)
	}
}

func (p *Progress) redraw() {
	for {
		select {
		case <-p.stop:
			return
		case <-time.After(redrawEvery):
			p.draw()
		}
	}
}

func (p *Progress) draw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.stop: // End has written the last line
	default:
		fmt.Fprintf(p.out, "\r\033[K%s  %s", p.name, p.figures(p.now()))
	}
}

// Add counts n more bytes.
func (p *Progress) Add(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done += n
}

// Write counts len(b) bytes, so that a Progress can stand in an io.MultiWriter or io.TeeReader.
func (p *Progress) Write(b []byte) (int, error) {
	p.Add(int64(len(b)))
	return len(b), nil
}

// End closes the step with what it took. Calling it again does nothing.
func (p *Progress) End() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.stop:
		return // ended before
	default:
		close(p.stop)
	}
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

// figures are what is done, how fast, and how long the rest will take.
func (p *Progress) figures(now time.Time) string {
	elapsed := now.Sub(p.start)
	switch {
	case p.done > 0 && elapsed > 0:
		return p.rate(elapsed)
	case p.usual > elapsed:
		return fmt.Sprintf("%s, about %s left", elapsed.Round(time.Second), (p.usual - elapsed).Round(time.Second))
	}
	return elapsed.Round(time.Second).String()
}

func (p *Progress) rate(elapsed time.Duration) string {
	rate := float64(p.done) / elapsed.Seconds()
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
