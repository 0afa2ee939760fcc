package omaha

import "conifer.dev/conifer/internal/fault"

// The statuses of an application and of an update check. A client fails on any other status of a check than ok and
// noupdate, so a refusal by policy is noupdate.
const (
	StatusOK         = "ok"
	StatusNoUpdate   = "noupdate"
	StatusUnknownApp = "error-unknownApplication"
)

// Response is what the service answers, one AppResponse for each application of the request.
type Response struct {
	Protocol string        `xml:"protocol,attr"`
	Server   string        `xml:"server,attr"`
	DayStart DayStart      `xml:"daystart"`
	Apps     []AppResponse `xml:"app"`
}

// DayStart tells the client how long the server's day has lasted.
type DayStart struct {
	ElapsedSeconds int `xml:"elapsed_seconds,attr"`
}

// AppResponse is the answer for one application; its ID is written as the request wrote it.
type AppResponse struct {
	ID          string       `xml:"appid,attr"`
	Status      string       `xml:"status,attr"`
	Ping        *Ack         `xml:"ping"`
	UpdateCheck *UpdateCheck `xml:"updatecheck"`
	Events      []Ack        `xml:"event"`
}

// Ack acknowledges a ping or an event.
type Ack struct {
	Status string `xml:"status,attr"`
}

// UpdateCheck is the answer to an update check; use [UpdateCheck.Offer] rather than its parts.
type UpdateCheck struct {
	Status       string    `xml:"status,attr"`
	PollInterval int       `xml:"PollInterval,attr,omitempty"` // seconds until the next poll; 0 leaves it to the client
	URLs         *URLs     `xml:"urls"`
	Manifest     *Manifest `xml:"manifest"`
}

// URLs are the places that have the files.
type URLs struct {
	URLs []URL `xml:"url"`
}

// URL is one place; a file's address is the codebase followed by its name.
type URL struct {
	Codebase string `xml:"codebase,attr"`
}

// Manifest is the release that is offered.
type Manifest struct {
	Version  string   `xml:"version,attr"`
	Packages Packages `xml:"packages"`
	Actions  Actions  `xml:"actions"`
}

// Packages wraps the files of a release, the payload first.
type Packages struct {
	Packages []Package `xml:"package"`
}

// Package is one file. update_engine reads name and size, and the payload's digest from the post-install action;
// ue-rs demands required, and reads both digests.
type Package struct {
	Name      string `xml:"name,attr"`
	SHA1      string `xml:"hash,attr,omitempty"`        // base64
	SHA256    string `xml:"hash_sha256,attr,omitempty"` // hex
	SizeBytes int64  `xml:"size,attr"`
	Required  bool   `xml:"required,attr"`
}

// Actions wraps the actions of a release.
type Actions struct {
	Actions []Action `xml:"action"`
}

// Action is what to do with the payload; only the one with event postinstall counts.
type Action struct {
	Event                 string `xml:"event,attr"`
	SHA256                string `xml:"sha256,attr"` // base64, of the payload
	DisablePayloadBackoff bool   `xml:"DisablePayloadBackoff,attr,omitempty"`
}

// NewResponse makes a response without applications. secondsOfDay is the time since midnight UTC.
func NewResponse(server string, secondsOfDay int) *Response {
	return &Response{Protocol: Protocol, Server: server, DayStart: DayStart{secondsOfDay}}
}

// UnknownApplication is the answer about an application that the service does not have. update_engine does not look at
// the application's status: without an update check it would fail and report the failure with every poll, so it
// is told that there is no update, and nothing is acknowledged.
func UnknownApplication(app *AppRequest) AppResponse {
	answer := AppResponse{ID: app.ID, Status: StatusUnknownApp}
	if app.UpdateCheck != nil {
		answer.UpdateCheck = NoUpdate(0)
	}
	return answer
}

// Encode writes the response, if every client can read it.
func (r *Response) Encode() ([]byte, error) {
	if err := r.validate(); err != nil {
		return nil, err
	}
	for i := range r.Apps {
		if check := r.Apps[i].UpdateCheck; check != nil && check.Status != StatusOK && check.Status != StatusNoUpdate {
			return nil, fault.New(fault.Invalid, "update check has status %q, on which a client fails", check.Status)
		}
	}
	return r.AppendTo(nil), nil
}

func (r *Response) validate() error {
	if r.Protocol != Protocol {
		return fault.New(fault.Invalid, "omaha protocol is %q, want %q", r.Protocol, Protocol)
	}
	for i := range r.Apps {
		check := r.Apps[i].UpdateCheck
		if check == nil || check.Status != StatusOK {
			continue
		}
		if _, err := check.Offer(); err != nil {
			return err
		}
	}
	return nil
}

// App finds the answer for an application, whatever braces and capitals its id is written with.
func (r *Response) App(id string) (*AppResponse, error) {
	for i := range r.Apps {
		if CanonicalID(r.Apps[i].ID) == CanonicalID(id) {
			return &r.Apps[i], nil
		}
	}
	return nil, fault.New(fault.NotFound, "omaha response says nothing about application %s", id)
}
