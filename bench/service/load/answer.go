package load

import "bytes"

// Answer is what the service said.
type Answer struct {
	Status int
	Body   []byte
}

// Kind is what an answer means to a machine.
type Kind int

const (
	Offer        Kind = iota // an update
	NoUpdate                 // to an update check
	Acknowledged             // of events or a ping
	Busy                     // 503: the machine comes back later
	Refused                  // another status than 200
	Strange                  // 200, and not what update_engine would take
	kinds
)

var kindNames = [kinds]string{"offer", "no update", "acknowledged", "busy (503)", "refused", "strange"}

func (k Kind) String() string { return kindNames[k] }

var (
	updateCheck = []byte("<updatecheck")
	status      = []byte(` status="`)
	response    = []byte("<response")
	eventOK     = []byte(`<event status="ok"`)
)

// Kind of the answer.
func (a Answer) Kind() Kind {
	switch {
	case a.Status == 503:
		return Busy
	case a.Status != 200:
		return Refused
	}
	_, check, ok := bytes.Cut(a.Body, updateCheck)
	if !ok {
		if bytes.Contains(a.Body, response) {
			return Acknowledged
		}
		return Strange
	}
	_, value, _ := bytes.Cut(check, status)
	switch {
	case bytes.HasPrefix(value, []byte(`ok"`)):
		return Offer
	case bytes.HasPrefix(value, []byte(`noupdate"`)):
		return NoUpdate
	}
	return Strange
}

// EventTaken reports whether the service acknowledged an event.
func (a Answer) EventTaken() bool { return a.Status == 200 && bytes.Contains(a.Body, eventOK) }

// Version is the one that is offered, "" when none is.
func (a Answer) Version() string {
	_, manifest, _ := bytes.Cut(a.Body, []byte(`<manifest version="`))
	version, _, _ := bytes.Cut(manifest, []byte(`"`))
	return string(version)
}
