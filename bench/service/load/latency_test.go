package load

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A duration is told with an error of at most 2 %, and what is longer is never told as shorter.
func TestBucketsAreClose(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		us := rapid.Int64Range(0, 1<<33).Draw(t, "microseconds")
		d := time.Duration(us) * time.Microsecond
		if off := (middle(bucket(d)) - d).Abs(); off > d/50+time.Microsecond {
			t.Fatalf("%v is told as %v", d, middle(bucket(d)))
		}
		if bucket(d+d/16) < bucket(d) {
			t.Fatalf("a longer one than %v is in an earlier bucket", d)
		}
	})
}

func TestQuantiles(t *testing.T) {
	var h histogram
	for i := 1; i <= 1000; i++ {
		h.add(time.Duration(i) * time.Millisecond)
	}
	l := h.latency()
	for _, test := range []struct{ got, want time.Duration }{
		{l.P50, 500 * time.Millisecond}, {l.P99, 990 * time.Millisecond}, {l.Max, time.Second},
	} {
		if (test.got - test.want).Abs() > test.want/40 {
			t.Errorf("got %v, want %v", test.got, test.want)
		}
	}
}

func TestStatOfAProgramWithAWildName(t *testing.T) {
	pid, s, ok := parseStat("42 (a) S 9 (b) R 7 42 42 0 -1 4194304 97 0 0 0 100 20 3 4 20 0 1 0 5 6 7")
	if !ok || pid != 42 || s.parent != 7 || s.cpu != 1270*time.Millisecond {
		t.Errorf("got %d %+v %v", pid, s, ok)
	}
}
