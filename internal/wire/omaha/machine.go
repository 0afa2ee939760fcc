package omaha

import "strings"

// Arch is the architecture of the machine in Debian's words, or "" when the request does not tell. The board says
// it best (amd64-usr); ue-rs sends none, so the operating system's arch and sp (4081.2.0_x86_64) come after it.
func (r *Request) Arch(app *AppRequest) string {
	board, _, _ := strings.Cut(app.Board, "-")
	if arch := architecture(board); arch != "" {
		return arch
	}
	if arch := architecture(r.OS.Arch); arch != "" {
		return arch
	}
	if strings.HasSuffix(r.OS.SP, "_x86_64") {
		return "amd64"
	}
	return architecture(r.OS.SP[strings.LastIndexByte(r.OS.SP, '_')+1:])
}

// architecture is Debian's name for what clients call an architecture, or "".
func architecture(name string) string {
	switch strings.ToLower(name) {
	case "amd64", "x86_64", "x64":
		return "amd64"
	case "arm64", "aarch64":
		return "arm64"
	}
	return ""
}

// Knows reports whether a feature is among the words of AppRequest.Payloads.
func Knows(payloads, feature string) bool {
	for word := range strings.FieldsSeq(payloads) {
		if word == feature {
			return true
		}
	}
	return false
}

// CanonicalID is an application id without the braces and capitals that some clients write around and in it.
func CanonicalID(id string) string {
	if inner, ok := strings.CutPrefix(id, "{"); ok && strings.HasSuffix(inner, "}") {
		id = strings.TrimSuffix(inner, "}")
	}
	return strings.ToLower(id)
}

// Forced reports whether a machine that says it runs version wants the newest release whatever it really runs. A person
// asks for that: flatcar-update and its manual set the version to 0.0.0, update_engine's ancestors said ForcedUpdate.
func Forced(version string) bool {
	return version == "ForcedUpdate" || version == "0.0.0" || version == NoPreviousVersion
}
