package omaha

// AppendTo appends the response to dst. It is well-formed whatever it says; that clients can act on it is what
// [Offer.UpdateCheck] and [NoUpdate] see to, and what [Response.Encode] checks.
func (r *Response) AppendTo(dst []byte) []byte {
	dst = append(dst, header+"<response"...)
	dst = appendAttr(dst, "protocol", r.Protocol)
	dst = appendAttr(dst, "server", r.Server)
	dst = append(dst, ">\n    <daystart"...)
	dst = appendNumber(dst, "elapsed_seconds", int64(r.DayStart.ElapsedSeconds))
	dst = append(dst, "></daystart>\n"...)
	for i := range r.Apps {
		dst = r.Apps[i].appendTo(dst)
	}
	return append(dst, "</response>\n"...)
}

func (a *AppResponse) appendTo(dst []byte) []byte {
	dst = append(dst, "    <app"...)
	dst = appendAttr(dst, "appid", a.ID)
	dst = appendAttr(dst, "status", a.Status)
	if a.Ping == nil && a.UpdateCheck == nil && len(a.Events) == 0 {
		return append(dst, "></app>\n"...)
	}
	dst = append(dst, ">\n"...)
	if a.Ping != nil {
		dst = append(dst, "        <ping"...)
		dst = appendAttr(dst, "status", a.Ping.Status)
		dst = append(dst, "></ping>\n"...)
	}
	if a.UpdateCheck != nil {
		dst = a.UpdateCheck.appendTo(dst)
	}
	for i := range a.Events {
		dst = append(dst, "        <event"...)
		dst = appendAttr(dst, "status", a.Events[i].Status)
		dst = append(dst, "></event>\n"...)
	}
	return append(dst, "    </app>\n"...)
}

func (u *UpdateCheck) appendTo(dst []byte) []byte {
	dst = append(dst, "        <updatecheck"...)
	dst = appendAttr(dst, "status", u.Status)
	if u.PollInterval != 0 {
		dst = appendNumber(dst, "PollInterval", int64(u.PollInterval))
	}
	if u.URLs == nil && u.Manifest == nil {
		return append(dst, "></updatecheck>\n"...)
	}
	dst = append(dst, ">\n"...)
	if u.URLs != nil {
		dst = append(dst, "            <urls>\n"...)
		for _, url := range u.URLs.URLs {
			dst = append(dst, "                <url"...)
			dst = appendAttr(dst, "codebase", url.Codebase)
			dst = append(dst, "></url>\n"...)
		}
		dst = append(dst, "            </urls>\n"...)
	}
	if u.Manifest != nil {
		dst = u.Manifest.appendTo(dst)
	}
	return append(dst, "        </updatecheck>\n"...)
}

func (m *Manifest) appendTo(dst []byte) []byte {
	dst = append(dst, "            <manifest"...)
	dst = appendAttr(dst, "version", m.Version)
	dst = append(dst, ">\n                <packages>\n"...)
	for i := range m.Packages.Packages {
		dst = m.Packages.Packages[i].appendTo(dst)
	}
	dst = append(dst, "                </packages>\n                <actions>\n"...)
	for i := range m.Actions.Actions {
		dst = m.Actions.Actions[i].appendTo(dst)
	}
	return append(dst, "                </actions>\n            </manifest>\n"...)
}

func (p *Package) appendTo(dst []byte) []byte {
	dst = append(dst, "                    <package"...)
	dst = appendAttr(dst, "name", p.Name)
	dst = appendOptional(dst, "hash", p.SHA1)
	dst = appendOptional(dst, "hash_sha256", p.SHA256)
	dst = appendNumber(dst, "size", p.SizeBytes)
	dst = appendTruth(dst, "required", p.Required)
	return append(dst, "></package>\n"...)
}

func (a *Action) appendTo(dst []byte) []byte {
	dst = append(dst, "                    <action"...)
	dst = appendAttr(dst, "event", a.Event)
	dst = appendAttr(dst, "sha256", a.SHA256)
	if a.DisablePayloadBackoff {
		dst = appendTruth(dst, "DisablePayloadBackoff", true)
	}
	return append(dst, "></action>\n"...)
}
