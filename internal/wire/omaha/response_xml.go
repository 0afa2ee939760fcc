package omaha

// ParseResponse reads what a service answered. An update check with status ok is complete as [UpdateCheck.Offer]
// wants it. Every error is of kind Invalid.
func ParseResponse(text []byte) (*Response, error) {
	var s scanner
	if err := s.enter(text, "response", MaxResponseBytes); err != nil {
		return nil, err
	}
	var r Response
	r.read(&s)
	if err := s.finish(); err != nil {
		return nil, err
	}
	if err := r.validate(); err != nil {
		return nil, err
	}
	return &r, nil
}

func (r *Response) read(s *scanner) {
	for s.attr() {
		switch s.name {
		case "protocol":
			r.Protocol = s.value
		case "server":
			r.Server = s.value
		}
	}
	for s.child() {
		switch s.name {
		case "daystart":
			r.DayStart.read(s)
		case "app":
			r.Apps = append(r.Apps, AppResponse{})
			r.Apps[len(r.Apps)-1].read(s)
		default:
			s.skip()
		}
	}
}

func (d *DayStart) read(s *scanner) {
	for s.attr() {
		if s.name == "elapsed_seconds" {
			d.ElapsedSeconds = int(s.number())
		}
	}
	s.skip()
}

func (a *AppResponse) read(s *scanner) {
	for s.attr() {
		switch s.name {
		case "appid":
			a.ID = s.value
		case "status":
			a.Status = s.value
		}
	}
	for s.child() {
		switch s.name {
		case "ping":
			if a.Ping == nil {
				a.Ping = new(Ack)
			}
			a.Ping.read(s)
		case "updatecheck":
			if a.UpdateCheck == nil {
				a.UpdateCheck = new(UpdateCheck)
			}
			a.UpdateCheck.read(s)
		case "event":
			a.Events = append(a.Events, Ack{})
			a.Events[len(a.Events)-1].read(s)
		default:
			s.skip()
		}
	}
}

func (a *Ack) read(s *scanner) {
	for s.attr() {
		if s.name == "status" {
			a.Status = s.value
		}
	}
	s.skip()
}

func (u *UpdateCheck) read(s *scanner) {
	for s.attr() {
		switch s.name {
		case "status":
			u.Status = s.value
		case "PollInterval":
			u.PollInterval = int(s.number())
		}
	}
	for s.child() {
		switch s.name {
		case "urls":
			if u.URLs == nil {
				u.URLs = new(URLs)
			}
			u.URLs.read(s)
		case "manifest":
			if u.Manifest == nil {
				u.Manifest = new(Manifest)
			}
			u.Manifest.read(s)
		default:
			s.skip()
		}
	}
}

func (u *URLs) read(s *scanner) {
	for s.child() {
		if s.name == "url" {
			u.URLs = append(u.URLs, URL{})
			u.URLs[len(u.URLs)-1].read(s)
		} else {
			s.skip()
		}
	}
}

func (u *URL) read(s *scanner) {
	for s.attr() {
		if s.name == "codebase" {
			u.Codebase = s.value
		}
	}
	s.skip()
}

func (m *Manifest) read(s *scanner) {
	for s.attr() {
		if s.name == "version" {
			m.Version = s.value
		}
	}
	for s.child() {
		switch s.name {
		case "packages":
			m.Packages.read(s)
		case "actions":
			m.Actions.read(s)
		default:
			s.skip()
		}
	}
}

func (p *Packages) read(s *scanner) {
	for s.child() {
		if s.name == "package" {
			p.Packages = append(p.Packages, Package{})
			p.Packages[len(p.Packages)-1].read(s)
		} else {
			s.skip()
		}
	}
}

func (p *Package) read(s *scanner) {
	for s.attr() {
		switch s.name {
		case "name":
			p.Name = s.value
		case "hash":
			p.SHA1 = s.value
		case "hash_sha256":
			p.SHA256 = s.value
		case "size":
			p.SizeBytes = s.number()
		case "required":
			p.Required = s.truth()
		}
	}
	s.skip()
}

func (a *Actions) read(s *scanner) {
	for s.child() {
		if s.name == "action" {
			a.Actions = append(a.Actions, Action{})
			a.Actions[len(a.Actions)-1].read(s)
		} else {
			s.skip()
		}
	}
}

func (a *Action) read(s *scanner) {
	for s.attr() {
		switch s.name {
		case "event":
			a.Event = s.value
		case "sha256":
			a.SHA256 = s.value
		case "DisablePayloadBackoff":
			a.DisablePayloadBackoff = s.truth()
		}
	}
	s.skip()
}
