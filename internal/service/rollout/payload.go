package rollout

import (
	"fmt"
	"strings"

	"conifer.dev/conifer/internal/wire/omaha"
)

// Payload is one file that brings a machine to a release.
type Payload struct {
	File      string   `json:"file"`
	SizeBytes int64    `json:"size_bytes"`
	From      string   `json:"from,omitempty"`     // version that a machine must run for it, "" when it may run any: the full payload
	Features  []string `json:"features,omitempty"` // what a machine must know to apply it
}

// Choice is a payload that a machine may be offered, and when.
type Choice struct {
	Payload
	Text string `json:"text"`
}

// delta is the payload that the machine is offered in place of the full one, or nil. A machine that forces an update hides what it runs.
func (c *Case) delta(r *Release) *Payload {
	if c.Machine.Payloads == "" || c.Machine.Forced {
		return nil
	}
	if d := r.deltaFrom(c.Machine.Version); d != nil && knowsAll(c.Machine.Payloads, d.Features) {
		return d
	}
	return nil
}

func (r *Release) deltaFrom(version string) *Payload {
	for i := range r.Deltas {
		if r.Deltas[i].From == version {
			return &r.Deltas[i]
		}
	}
	return nil
}

func knowsAll(payloads string, features []string) bool {
	for _, f := range features {
		if !omaha.Knows(payloads, f) {
			return false
		}
	}
	return true
}

// choices are the payloads that the machine may be offered with the release. What it can apply is said in each of its requests and not remembered,
// so that both are told where it depends on that.
func (c *Case) choices(r *Release) []Choice {
	full := func(why string) Choice { return Choice{r.Full, "the full payload, " + why} }
	d := r.deltaFrom(c.Machine.Version)
	switch {
	case c.Machine.Forced:
		return []Choice{full(fmt.Sprintf("because the machine says that it runs %s, which no delta is from", c.Machine.Version))}
	case d == nil:
		return []Choice{full(fmt.Sprintf("because release %s has no delta from %q", r.Version, c.Machine.Version))}
	}
	features := strings.Join(d.Features, " ")
	return []Choice{
		{*d, fmt.Sprintf("the delta from %s, when the machine says in its request that it knows %s", d.From, features)},
		full("when the machine does not say that, as after a delta to this release failed on it"),
	}
}
