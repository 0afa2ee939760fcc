package edge

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestThePaceFollowsHowLongRequestsWait(t *testing.T) {
	type look struct {
		elapsed  time.Duration
		requests int64
		waited   time.Duration // each
		serving  int64
		waiting  int64
		queued   int64
	}
	const quiet = lookEvery
	for _, test := range []struct {
		name   string
		limit  int64
		look   look
		want   int64
		grown  bool
		behind bool
	}{
		{"nobody asks", 512, look{quiet, 0, 0, 0, 0, 0}, 512, false, false},
		{"nobody waits to be let in", 512, look{quiet, 3000, time.Millisecond, 100, 0, 0}, 512, false, false},
		{"somebody does, and there is time for more", 512, look{quiet, 3000, time.Millisecond, 512, 1, 0}, 769, true, true},
		{"all in service are silent, and others wait", 512, look{quiet, 0, 0, 512, 1, 0}, 769, true, true},
		{"never above what there may be", 8000, look{quiet, 1000, 0, 8000, 1, 0}, 8192, true, false},
		{"neither too slow nor quick", 512, look{quiet, 1000, soon * 3 / 4, 512, 1, 0}, 512, false, true},
		{"many are in the kernel's queue", 512, look{quiet, 100, soon / 4, least, 0, least + 1}, 512, false, true},
		{"a few are", 512, look{quiet, 100, soon / 4, least, 0, least}, 512, false, false},
		{"slow for a few", 512, look{quiet, 100, soon * 3 / 4, least, 0, 0}, 512, false, false},
		{"twice too slow", 3000, look{quiet, 100, 2 * soon, 3000, 1, 0}, 1500, false, true},
		{"twice too slow, and fewer than might be", 8192, look{quiet, 100, 2 * soon, 3000, 0, 0}, 1500, false, true},
		{"what waits was let in before: not below what is read soon", 400, look{quiet, 3000, 10 * soon, 3000, 1, 0}, 1500, true, true},
		{"never below the least", 200, look{quiet, 1, time.Hour, 200, 1, 0}, least, false, true},
		{"nothing was read, and the look itself is late", 512, look{quiet + 4*soon, 0, 0, 512, 1, 0}, 512, false, true},
	} {
		p, now := newPace(8192), time.Unix(1000, 0)
		p.limit.Store(test.limit)
		p.looked = now.Add(-test.look.elapsed)
		for range test.look.requests {
			p.read(test.look.waited)
		}
		requests, grown := p.adjust(now, test.look.serving, test.look.waiting, test.look.queued)
		if got := p.limit.Load(); got != test.want || grown != test.grown || requests != test.look.requests {
			t.Errorf("%s: the limit is %d, want %d; grown is %v, of %d requests", test.name, got, test.want, grown, requests)
		}
		if got := p.behind.Load(); got != test.behind {
			t.Errorf("%s: behind is %v", test.name, got)
		}
		p.adjust(now.Add(lasts-1), 0, 0, 0)
		if got := p.behind.Load(); got != test.behind {
			t.Errorf("%s: behind is %v in a gap", test.name, got)
		}
		if p.adjust(now.Add(lasts), 0, 0, 0); p.behind.Load() {
			t.Errorf("%s: it is behind for ever", test.name)
		}
	}
}

// However fast the processors are, as many are in service before long as keep them busy, and none waits there for long.
func TestThePaceFindsTheSpeed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		perSecond := rapid.Int64Range(2000, 100_000).Draw(t, "perSecond")
		connections := rapid.Int64Range(1, 8192).Draw(t, "connections")
		p, now := newPace(8192), time.Unix(1000, 0)
		p.looked = now
		for look := range 100 {
			serving := min(connections, p.limit.Load())
			waits := time.Duration(serving * int64(time.Second) / perSecond) // all ask again as soon as they are answered
			if look > 50 && waits > 2*soon {
				t.Fatalf("after %d looks requests wait for %v", look, waits)
			}
			if look > 50 && serving < connections && waits < soon/2 {
				t.Fatalf("after %d looks %d of %d are in service, and requests wait for %v only", look, serving, connections, waits)
			}
			for range 10 {
				p.read(waits)
			}
			p.requests.Add(perSecond/10 - 10)
			p.waited.Add((perSecond/10 - 10) * int64(waits))
			now = now.Add(lookEvery)
			p.adjust(now, serving, connections-serving, 0)
		}
	})
}
