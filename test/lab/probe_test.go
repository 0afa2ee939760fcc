package lab

import (
	"testing"
	"time"
)

func TestProbeCountsSilenceOnlyAfterTheFirstAnswer(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	p := &Probe{}
	p.record(false, at(0), at(1)) // still booting
	p.record(true, at(2), at(3))
	p.record(false, at(4), at(5))
	p.record(false, at(6), at(7))
	if p.Answers() {
		t.Error("a silent machine is said to answer")
	}
	p.record(true, at(8), at(9))
	outages := p.Outages(at(0))
	if len(outages) != 1 || Total(outages) != 5*time.Second || !p.Answers() {
		t.Errorf("outages are %v, want one from 4 to 9", outages)
	}
	if len(p.Outages(at(9))) != 0 {
		t.Error("an outage that ended before the given time is counted")
	}
}
