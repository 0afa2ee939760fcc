package omaha

import "conifer.dev/conifer/internal/fault"

// The values of Request.InstallSource.
const (
	Scheduled  = "scheduler"      // the machine's own timer
	OnDemand   = "ondemandupdate" // a person on the machine asked
	onDemandRS = "ondemand"       // the same, as ue-rs spells it
)

// Request is one post of a machine: a poll, or the report of an event. Its parts are named after their attributes in
// XML. The strings of a parsed request share one copy of the body: whoever keeps one for long clones it.
type Request struct {
	Protocol       string       `xml:"protocol,attr"`
	Version        string       `xml:"version,attr"`        // of the client: update_engine-0.4.10
	UpdaterVersion string       `xml:"updaterversion,attr"` // the same again
	InstallSource  string       `xml:"installsource,attr"`
	IsMachine      string       `xml:"ismachine,attr"` // "1"
	OS             OS           `xml:"os"`
	Apps           []AppRequest `xml:"app"`
}

// OS is the operating system as its makers once named it; only SP carries a fact: version_architecture.
type OS struct {
	Version  string `xml:"version,attr"`
	Platform string `xml:"platform,attr"`
	SP       string `xml:"sp,attr"`
	Arch     string `xml:"arch,attr,omitempty"`
}

// AppRequest is one application on the machine. The attributes after Track are update_engine's extensions.
type AppRequest struct {
	ID            string `xml:"appid,attr"`
	Version       string `xml:"version,attr"`
	Track         string `xml:"track,attr"` // the group that the machine asks for
	BootID        string `xml:"bootid,attr"`
	OEM           string `xml:"oem,attr"`
	OEMVersion    string `xml:"oemversion,attr"`
	AlephVersion  string `xml:"alephversion,attr"` // the version that was first installed
	MachineID     string `xml:"machineid,attr"`
	MachineAlias  string `xml:"machinealias,attr"`
	Lang          string `xml:"lang,attr"`
	Board         string `xml:"board,attr"`
	HardwareClass string `xml:"hardware_class,attr"`
	DeltaOkay     string `xml:"delta_okay,attr"`         // "true" or "false"
	Wariness      string `xml:"wariness,attr,omitempty"` // 0 to 1: how late in a roll-out it wants to be; only our agent tells
	Payloads      string `xml:"payloads,attr,omitempty"` // the features of payloads that it can apply, see Knows; only our agent tells

	Ping        *Ping               `xml:"ping"`
	UpdateCheck *UpdateCheckRequest `xml:"updatecheck"`
	Events      []Event             `xml:"event"`
}

// Ping says that the machine is alive.
type Ping struct {
	Active string `xml:"active,attr"`
}

// UpdateCheckRequest asks for an update.
type UpdateCheckRequest struct{}

// NewRequest makes a request of a client for its applications, as update_engine fills it in.
func NewRequest(client, installSource string, apps ...AppRequest) *Request {
	return &Request{
		Protocol: Protocol, Version: client, UpdaterVersion: client, InstallSource: installSource, IsMachine: "1",
		Apps: apps,
	}
}

// Manual reports whether a person on the machine asked, rather than its timer.
func (r *Request) Manual() bool {
	return r.InstallSource == OnDemand || r.InstallSource == onDemandRS
}

// Encode writes the request as update_engine does, every attribute present even when it is empty.
func (r *Request) Encode() ([]byte, error) {
	if err := r.validate(); err != nil {
		return nil, err
	}
	return r.AppendTo(nil), nil
}

func (r *Request) validate() error {
	if r.Protocol != Protocol {
		return fault.New(fault.Invalid, "omaha protocol is %q, want %q", r.Protocol, Protocol)
	}
	if len(r.Apps) == 0 || len(r.Apps) > maxApps {
		return fault.New(fault.Invalid, "omaha request has %d applications, want 1 to %d", len(r.Apps), maxApps)
	}
	for i := range r.Apps {
		if err := r.Apps[i].validate(); err != nil {
			return err
		}
	}
	return checkLengths(value{"version", r.Version}, value{"installsource", r.InstallSource}, value{"sp", r.OS.SP})
}

func (a *AppRequest) validate() error {
	if a.ID == "" {
		return fault.New(fault.Invalid, "an application has no appid")
	}
	if len(a.Events) > maxEvents {
		return fault.New(fault.Invalid, "application %s has %d events, more than %d", a.ID, len(a.Events), maxEvents)
	}
	for _, e := range a.Events {
		if err := checkLengths(value{"previousversion", e.PreviousVersion}, value{"nextversion", e.NextVersion}, value{"payload", e.Payload}); err != nil {
			return err
		}
	}
	return checkLengths(value{"appid", a.ID}, value{"version", a.Version}, value{"track", a.Track},
		value{"bootid", a.BootID}, value{"oem", a.OEM}, value{"oemversion", a.OEMVersion},
		value{"alephversion", a.AlephVersion}, value{"machineid", a.MachineID}, value{"machinealias", a.MachineAlias},
		value{"board", a.Board}, value{"hardware_class", a.HardwareClass}, value{"wariness", a.Wariness}, value{"payloads", a.Payloads})
}
