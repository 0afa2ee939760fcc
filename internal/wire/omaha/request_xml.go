package omaha

import "conifer.dev/conifer/internal/fault"

// ParseRequest reads what a machine posted. Every error is of kind Invalid.
func ParseRequest(text []byte) (*Request, error) {
	var s scanner
	if err := s.enter(text, "request", MaxRequestBytes); err != nil {
		return nil, err
	}
	// Nearly every request has one application with one event at most: one piece of memory holds it all.
	room := &struct {
		request Request
		apps    [1]AppRequest
		first   appRoom
	}{}
	r := &room.request
	r.Apps = room.apps[:0]
	r.readAttrs(&s)
	for s.child() {
		switch s.name {
		case "os":
			r.OS.read(&s)
		case "app":
			if len(r.Apps) == maxApps {
				return nil, fault.New(fault.Invalid, "omaha request has more than %d applications", maxApps)
			}
			parts := &room.first
			if len(r.Apps) > 0 {
				parts = new(appRoom)
			}
			r.Apps = append(r.Apps, AppRequest{})
			r.Apps[len(r.Apps)-1].read(&s, parts)
		default:
			s.skip()
		}
	}
	if err := s.finish(); err != nil {
		return nil, err
	}
	if err := r.validate(); err != nil {
		return nil, err
	}
	return r, nil
}

// appRoom is where the parts of an application are put.
type appRoom struct {
	ping   Ping
	events [1]Event
}

func (r *Request) readAttrs(s *scanner) {
	for s.attr() {
		switch s.name {
		case "protocol":
			r.Protocol = s.value
		case "version":
			r.Version = s.value
		case "updaterversion":
			r.UpdaterVersion = s.value
		case "installsource":
			r.InstallSource = s.value
		case "ismachine":
			r.IsMachine = s.value
		}
	}
}

func (o *OS) read(s *scanner) {
	for s.attr() {
		switch s.name {
		case "version":
			o.Version = s.value
		case "platform":
			o.Platform = s.value
		case "sp":
			o.SP = s.value
		case "arch":
			o.Arch = s.value
		}
	}
	s.skip()
}

func (a *AppRequest) read(s *scanner, room *appRoom) {
	for s.attr() {
		if field := a.field(s.name); field != nil {
			*field = s.value
		}
	}
	for s.child() {
		switch s.name {
		case "ping":
			a.Ping = &room.ping
			a.Ping.read(s)
		case "updatecheck":
			a.UpdateCheck = &UpdateCheckRequest{}
			s.skip()
		case "event":
			if len(a.Events) == maxEvents {
				s.fail("an application has more than %d events", maxEvents)
				return
			}
			if a.Events == nil {
				a.Events = room.events[:0]
			}
			a.Events = append(a.Events, Event{})
			a.Events[len(a.Events)-1].read(s)
		default:
			s.skip()
		}
	}
}

// field is where the attribute of an application is kept, or nil.
func (a *AppRequest) field(name string) *string {
	switch name {
	case "appid":
		return &a.ID
	case "version":
		return &a.Version
	case "track":
		return &a.Track
	case "bootid":
		return &a.BootID
	case "oem":
		return &a.OEM
	case "oemversion":
		return &a.OEMVersion
	case "alephversion":
		return &a.AlephVersion
	case "machineid":
		return &a.MachineID
	case "machinealias":
		return &a.MachineAlias
	case "lang":
		return &a.Lang
	case "board":
		return &a.Board
	case "hardware_class":
		return &a.HardwareClass
	case "delta_okay":
		return &a.DeltaOkay
	case "wariness":
		return &a.Wariness
	case "payloads":
		return &a.Payloads
	}
	return nil
}

func (p *Ping) read(s *scanner) {
	for s.attr() {
		if s.name == "active" {
			p.Active = s.value
		}
	}
	s.skip()
}

func (e *Event) read(s *scanner) {
	for s.attr() {
		switch s.name {
		case "eventtype":
			e.Type = EventType(s.number())
		case "eventresult":
			e.Result = EventResult(s.number())
		case "errorcode":
			e.ErrorCode = ErrorCode(s.number())
		case "previousversion":
			e.PreviousVersion = s.value
		case "nextversion":
			e.NextVersion = s.value
		case "payload":
			e.Payload = s.value
		}
	}
	s.skip()
}

// AppendTo appends the request to dst, every attribute present even when it is empty, as update_engine does.
func (r *Request) AppendTo(dst []byte) []byte {
	dst = append(dst, header+"<request"...)
	dst = appendAttr(dst, "protocol", r.Protocol)
	dst = appendAttr(dst, "version", r.Version)
	dst = appendAttr(dst, "updaterversion", r.UpdaterVersion)
	dst = appendAttr(dst, "installsource", r.InstallSource)
	dst = appendAttr(dst, "ismachine", r.IsMachine)
	dst = append(dst, ">\n    <os"...)
	dst = appendAttr(dst, "version", r.OS.Version)
	dst = appendAttr(dst, "platform", r.OS.Platform)
	dst = appendAttr(dst, "sp", r.OS.SP)
	dst = appendOptional(dst, "arch", r.OS.Arch)
	dst = append(dst, "></os>\n"...)
	for i := range r.Apps {
		dst = r.Apps[i].appendTo(dst)
	}
	return append(dst, "</request>\n"...)
}

func (a *AppRequest) appendTo(dst []byte) []byte {
	dst = append(dst, "    <app"...)
	dst = appendAttr(dst, "appid", a.ID)
	dst = appendAttr(dst, "version", a.Version)
	dst = appendAttr(dst, "track", a.Track)
	dst = appendAttr(dst, "bootid", a.BootID)
	dst = appendAttr(dst, "oem", a.OEM)
	dst = appendAttr(dst, "oemversion", a.OEMVersion)
	dst = appendAttr(dst, "alephversion", a.AlephVersion)
	dst = appendAttr(dst, "machineid", a.MachineID)
	dst = appendAttr(dst, "machinealias", a.MachineAlias)
	dst = appendAttr(dst, "lang", a.Lang)
	dst = appendAttr(dst, "board", a.Board)
	dst = appendAttr(dst, "hardware_class", a.HardwareClass)
	dst = appendAttr(dst, "delta_okay", a.DeltaOkay)
	dst = appendOptional(dst, "wariness", a.Wariness)
	dst = appendOptional(dst, "payloads", a.Payloads)
	dst = append(dst, ">\n"...)
	if a.Ping != nil {
		dst = append(dst, "        <ping"...)
		dst = appendAttr(dst, "active", a.Ping.Active)
		dst = append(dst, "></ping>\n"...)
	}
	if a.UpdateCheck != nil {
		dst = append(dst, "        <updatecheck></updatecheck>\n"...)
	}
	for i := range a.Events {
		dst = a.Events[i].appendTo(dst)
	}
	return append(dst, "    </app>\n"...)
}

func (e *Event) appendTo(dst []byte) []byte {
	dst = append(dst, "        <event"...)
	dst = appendNumber(dst, "eventtype", int64(e.Type))
	dst = appendNumber(dst, "eventresult", int64(e.Result))
	if e.ErrorCode != 0 {
		dst = appendNumber(dst, "errorcode", int64(e.ErrorCode))
	}
	dst = appendOptional(dst, "previousversion", e.PreviousVersion)
	dst = appendOptional(dst, "nextversion", e.NextVersion)
	dst = appendOptional(dst, "payload", e.Payload)
	return append(dst, "></event>\n"...)
}
