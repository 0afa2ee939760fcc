package omaha

import (
	"encoding/base64"
	"encoding/hex"
	"strings"

	"conifer.dev/conifer/internal/fault"
)

// Offer is an update that a machine is to take, as an update check with status ok says it. Nothing in it is
// trusted: what a machine may install is what signed metadata says.
type Offer struct {
	Version   string
	Codebases []string // URLs ending in a slash, the best first
	Payload   File
	Extra     []File // further files beside the payload
}

// File is one file of an offer.
type File struct {
	Name      string // relative to the codebase
	SizeBytes int64
	SHA256    string // hex
	SHA1      string // base64, "" when the service does not know it
}

// NoUpdate is the answer to a machine that has nothing to do. pollIntervalSeconds may be 0.
func NoUpdate(pollIntervalSeconds int) *UpdateCheck {
	return &UpdateCheck{Status: StatusNoUpdate, PollInterval: pollIntervalSeconds}
}

// UpdateCheck writes the offer as an answer with status ok. Backing off after a failed download is switched off as
// other servers do: pacing is the service's business.
func (o Offer) UpdateCheck() (*UpdateCheck, error) {
	digest, err := hex.DecodeString(o.Payload.SHA256)
	if err != nil || len(digest) != 32 {
		return nil, fault.New(fault.Invalid, "payload sha256 %q is not 32 bytes of hex", o.Payload.SHA256)
	}
	check := &UpdateCheck{Status: StatusOK, URLs: &URLs{}, Manifest: &Manifest{Version: o.Version}}
	for _, codebase := range o.Codebases {
		check.URLs.URLs = append(check.URLs.URLs, URL{slashed(codebase)})
	}
	packages := []Package{o.Payload.pkg(true)}
	for _, file := range o.Extra {
		packages = append(packages, file.pkg(false))
	}
	check.Manifest.Packages.Packages = packages
	check.Manifest.Actions.Actions = []Action{{
		Event: "postinstall", SHA256: base64.StdEncoding.EncodeToString(digest), DisablePayloadBackoff: true,
	}}
	return check, nil
}

func (f File) pkg(required bool) Package {
	return Package{Name: f.Name, SHA1: f.SHA1, SHA256: f.SHA256, SizeBytes: f.SizeBytes, Required: required}
}

// slashed ends a codebase in a slash: update_engine adds a missing one, ue-rs does not.
func slashed(codebase string) string {
	if codebase == "" || strings.HasSuffix(codebase, "/") {
		return codebase
	}
	return codebase + "/"
}

// Offer reads an answer with status ok; what update_engine would refuse is an error of kind Invalid. An answer with
// any other status holds no offer, and is an error of kind NotFound.
func (u *UpdateCheck) Offer() (Offer, error) {
	if u.Status != StatusOK {
		return Offer{}, fault.New(fault.NotFound, "update check has status %q, no offer", u.Status)
	}
	if u.Manifest == nil || u.Manifest.Version == "" || len(u.Manifest.Packages.Packages) == 0 {
		return Offer{}, fault.New(fault.Invalid, "offer has no manifest with version and package")
	}
	codebases, err := u.codebases()
	if err != nil {
		return Offer{}, err
	}
	digest, err := u.Manifest.postInstallDigest()
	if err != nil {
		return Offer{}, err
	}
	offer := Offer{Version: u.Manifest.Version, Codebases: codebases}
	for i, p := range u.Manifest.Packages.Packages {
		file := File{Name: p.Name, SizeBytes: p.SizeBytes, SHA256: strings.ToLower(p.SHA256), SHA1: p.SHA1}
		if p.Name == "" || p.SizeBytes <= 0 {
			return Offer{}, fault.New(fault.Invalid, "package %q of %d bytes: a name or size is missing", p.Name, p.SizeBytes)
		}
		if i > 0 {
			offer.Extra = append(offer.Extra, file)
			continue
		}
		if file.SHA256 != "" && file.SHA256 != digest {
			return Offer{}, fault.New(fault.Invalid, "payload sha256 is %s in its package, %s in the post-install action", file.SHA256, digest)
		}
		file.SHA256 = digest
		offer.Payload = file
	}
	return offer, nil
}

func (u *UpdateCheck) codebases() ([]string, error) {
	if u.URLs == nil || len(u.URLs.URLs) == 0 {
		return nil, fault.New(fault.Invalid, "offer of %s has no codebase", u.Manifest.Version)
	}
	var codebases []string
	for _, url := range u.URLs.URLs {
		if url.Codebase == "" {
			return nil, fault.New(fault.Invalid, "offer of %s has an empty codebase", u.Manifest.Version)
		}
		codebases = append(codebases, slashed(url.Codebase))
	}
	return codebases, nil
}

// postInstallDigest is the payload's sha256 in hex, from the one action that clients read.
func (m *Manifest) postInstallDigest() (string, error) {
	for _, action := range m.Actions.Actions {
		if action.Event != "postinstall" {
			continue
		}
		digest, err := base64.StdEncoding.DecodeString(action.SHA256)
		if err != nil || len(digest) != 32 {
			return "", fault.New(fault.Invalid, "post-install sha256 %q is not 32 bytes of base64", action.SHA256)
		}
		return hex.EncodeToString(digest), nil
	}
	return "", fault.New(fault.Invalid, "offer of %s has no post-install action", m.Version)
}
