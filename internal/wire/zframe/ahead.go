package zframe

// ahead gives the answers of a finder. Where it can run beside, it is some batches ahead of who asks, who has less to do. What it gives
// does not depend on how far ahead it is, or on whether it is.
type ahead struct {
	finder *finder
	threes *threes // which whoever asks fills in: the finder has more to do
	beside func(work func())
	kept   [batchesKept]*batch // by number, modulo how many
	next   int                 // the number of the first batch that nobody asked for
	ready  chan *batch         // those made, in order; nil for in turn
	free   chan *batch         // closed when no more are wanted
	ended  chan struct{}
}

const (
	batchesKept  = 3 // enough for a series to be planned again
	batchesAhead = 4
)

// runAhead starts it. It must be stopped.
func runAhead(f *finder, beside func(work func())) *ahead {
	a := &ahead{finder: f, threes: newThrees(f.content, f.window), beside: beside}
	for i := range a.kept {
		a.kept[i] = new(batch)
	}
	a.start()
	return a
}

func (a *ahead) start() {
	if a.next = 0; a.beside == nil {
		return
	}
	a.ready, a.free, a.ended = make(chan *batch, batchesAhead), make(chan *batch, batchesKept+batchesAhead), make(chan struct{})
	for range batchesAhead {
		a.free <- new(batch)
	}
	a.beside(a.run)
}

// run makes batches until all are made, or no more are wanted. There is always room for those that are ready.
func (a *ahead) run() {
	defer close(a.ended)
	for place := 0; place < a.finder.content.size; place += batchPlaces {
		b, more := <-a.free
		if !more {
			return
		}
		a.finder.fill(b, place)
		a.ready <- b
	}
}

// stop ends it, and returns when it has ended, with what went wrong with the old frame.
func (a *ahead) stop() error {
	if a.ready != nil {
		close(a.free)
		<-a.ended
		a.ready = nil
	}
	if a.finder.old == nil {
		return nil
	}
	return a.finder.old.err
}

// restart begins anew, with an old frame or nil.
func (a *ahead) restart(old *oldGuide) {
	a.stop()
	a.finder.forget()
	clear(a.threes.latest)
	a.finder.old = old
	a.start()
}

// advance makes the next batch one of those that are kept.
func (a *ahead) advance() {
	slot := &a.kept[a.next%batchesKept]
	if a.ready != nil {
		a.free <- *slot
		*slot = <-a.ready
	} else {
		a.finder.fill(*slot, a.next*batchPlaces)
	}
	a.threes.fill(*slot, a.next*batchPlaces)
	a.next++
}

// at is the answer for a place, and its candidates. There are none when it is too far behind the furthest place that was asked for.
func (a *ahead) at(place int) (*answer, []candidate) {
	for a.next <= place/batchPlaces {
		a.advance()
	}
	if place/batchPlaces < a.next-batchesKept {
		return &answer{}, nil
	}
	b := a.kept[place/batchPlaces%batchesKept]
	found := &b.answers[place%batchPlaces]
	return found, b.candidates[found.start:][:found.count]
}
