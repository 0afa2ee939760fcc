package zframe

// ahead runs a finder in a goroutine of its own, some batches ahead of who asks: to find and to plan take about as long. What it gives does
// not depend on how far ahead it is.
type ahead struct {
	finder  *finder
	kept    [batchesKept]*batch // by number, modulo how many
	next    int                 // the number of the first batch that nobody asked for
	ready   chan *batch
	free    chan *batch
	ended   chan struct{}
	stopped bool
}

const (
	batchesKept  = 3 // enough for a series to be planned again
	batchesAhead = 4
)

// runAhead starts it. It must be stopped.
func runAhead(f *finder) *ahead {
	a := &ahead{finder: f, ready: make(chan *batch, batchesAhead), free: make(chan *batch, batchesKept+batchesAhead), ended: make(chan struct{})}
	for range batchesAhead {
		a.free <- new(batch)
	}
	for i := range a.kept {
		a.kept[i] = new(batch)
	}
	go func() {
		defer close(a.ended)
		for place := 0; place < f.content.size; place += batchPlaces {
			b, more := <-a.free
			if !more {
				return
			}
			f.fill(b, place)
			a.ready <- b
		}
	}()
	return a
}

// stop ends it, and returns when it has ended, with what went wrong with the old frame.
func (a *ahead) stop() error {
	if !a.stopped {
		a.stopped = true
		close(a.free)
		<-a.ended
	}
	if a.finder.old == nil {
		return nil
	}
	return a.finder.old.err
}

// restart begins anew, with an old frame or nil.
func (a *ahead) restart(old *oldGuide) *ahead {
	a.stop()
	a.finder.forget()
	a.finder.old = old
	return runAhead(a.finder)
}

// at is the answer for a place, and its candidates. There are none when it is too far behind the furthest place that was asked for.
func (a *ahead) at(place int) (*answer, []candidate) {
	for a.next <= place/batchPlaces {
		slot := &a.kept[a.next%batchesKept]
		a.free <- *slot
		*slot = <-a.ready
		a.next++
	}
	if place/batchPlaces < a.next-batchesKept {
		return &answer{}, nil
	}
	b := a.kept[place/batchPlaces%batchesKept]
	found := &b.answers[place%batchPlaces]
	return found, b.candidates[found.start:][:found.count]
}
