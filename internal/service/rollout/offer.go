package rollout

// Answer is what a machine is told.
type Answer struct {
	Version    string // of the offered release, "" for no update
	Rule       string // the first that refused the newest release, "" when one is offered
	NeedsPlace bool   // the offer may be made only after a place under the limit was taken
	From       string // version that the payload is a delta from, "" for the full payload
}

// Offer decides one case. It makes no text and allocates nothing, because every poll of every machine comes through it.
//
// Releases are tried newest first, so that a machine to which the newest has not come yet, or may not come, is
// still brought to the last one that it is entitled to.
func Offer(c *Case) Answer {
	for i := range general {
		if !general[i].ask(trial{c: c}).ok {
			return Answer{Rule: general[i].name}
		}
	}
	var newest Answer
	for i := range c.candidates() {
		t := try(c, c.candidate(i))
		rule := t.refusal()
		if rule == "" {
			return offered(t)
		}
		if i == 0 {
			newest.Rule = rule
		}
	}
	return newest
}

func offered(t trial) Answer {
	a := Answer{Version: t.target().Version, NeedsPlace: t.needsPlace()}
	if d := t.c.delta(t.target()); d != nil {
		a.From = d.From
	}
	return a
}

// refusal names the first rule that refuses the candidate, "" when none does.
func (t trial) refusal() string {
	for i := range particular {
		if !particular[i].ask(t).ok {
			return particular[i].name
		}
	}
	return ""
}

// Reason is what one rule says about a case.
type Reason struct {
	Rule    string `json:"rule"`
	Release string `json:"release,omitempty"` // that it was asked about; "" when about the machine as a whole
	OK      bool   `json:"ok"`
	Text    string `json:"text"`
}

// Decision is the answer with the reasons of all rules that could be asked, in their order.
type Decision struct {
	Version    string   `json:"offer,omitempty"` // of the offered release, "" for no update
	NeedsPlace bool     `json:"needs_place,omitempty"`
	Payloads   []Choice `json:"payloads,omitempty"` // of the offered release
	Reasons    []Reason `json:"reasons"`
}

// Offered reports whether there is an update for the machine.
func (d Decision) Offered() bool { return d.Version != "" }

// Why is the reason that decided: the last one of an offer, the first refusal where nothing is offered.
func (d Decision) Why() Reason {
	for _, r := range d.Reasons {
		if !r.OK && !d.Offered() {
			return r
		}
	}
	return d.Reasons[len(d.Reasons)-1]
}

// Explain decides the case as [Offer] does and says why. A rule that refuses does not end the list, so that an
// operator sees everything in the way; only where the ones after it would have nothing to speak about they are not asked.
func Explain(c *Case) Decision {
	var d Decision
	for _, r := range general {
		if !d.ask(r, trial{c: c}) {
			return d
		}
	}
	for i := range c.candidates() {
		t := try(c, c.candidate(i))
		if d.askAll(t) {
			d.Version, d.NeedsPlace, d.Payloads = t.target().Version, t.needsPlace(), c.choices(t.target())
			return d
		}
	}
	return d
}

func (d *Decision) askAll(t trial) bool {
	all := true
	for _, r := range particular {
		ok := d.ask(r, t)
		all = all && ok
		if !ok && r.gate {
			break
		}
	}
	return all
}

func (d *Decision) ask(r rule, t trial) bool {
	v := r.ask(t)
	reason := Reason{Rule: r.name, OK: v.ok, Text: v.text(t)}
	if t.release != nil {
		reason.Release = t.release.Version
	}
	d.Reasons = append(d.Reasons, reason)
	return v.ok
}
