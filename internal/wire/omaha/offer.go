package omaha

import (
	"encoding/base64"
	"encoding/hex"
	"slices"
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

// UpdateCheck writes the offer as an answer with status ok, or says what a client would refuse in it. The answer may be
// kept and shared by many responses. Backing off after a failed download is switched off as other servers do: pacing
// is the service's business.
func (o Offer) UpdateCheck() (*UpdateCheck, error) {
	digest, err := o.check()
	if err != nil {
		return nil, err
	}
	// An offer is made on the way of a poll: one piece of memory holds nearly every one.
	room := &struct {
		check    UpdateCheck
		urls     URLs
		manifest Manifest
		url      [1]URL
		packages [2]Package
		action   [1]Action
	}{}
	room.check = UpdateCheck{Status: StatusOK, URLs: &room.urls, Manifest: &room.manifest}
	room.urls.URLs = room.url[:0]
	for _, codebase := range o.Codebases {
		room.urls.URLs = append(room.urls.URLs, URL{slashed(codebase)})
	}
	packages := append(room.packages[:0], o.Payload.pkg(true))
	for _, file := range o.Extra {
		packages = append(packages, file.pkg(false))
	}
	room.action[0] = Action{Event: postInstall, SHA256: base64.StdEncoding.EncodeToString(digest[:]), DisablePayloadBackoff: true}
	room.manifest = Manifest{Version: o.Version, Packages: Packages{packages}, Actions: Actions{room.action[:]}}
	return &room.check, nil
}

// check gives the payload's digest, if the offer is complete: update_engine wants a codebase and a payload with name,
// size and digest; ue-rs wants a version, and the digests of the further files.
func (o Offer) check() (digest [32]byte, err error) {
	if o.Version == "" {
		return digest, fault.New(fault.Invalid, "offer has no version")
	}
	if len(o.Codebases) == 0 || slices.Contains(o.Codebases, "") {
		return digest, fault.New(fault.Invalid, "offer of %s has no codebase, or an empty one", o.Version)
	}
	for _, file := range o.Extra {
		if _, err := file.check(); err != nil {
			return digest, err
		}
	}
	return o.Payload.check()
}

func (f File) check() (digest [32]byte, err error) {
	if f.Name == "" || f.SizeBytes <= 0 {
		return digest, fault.New(fault.Invalid, "file %q of %d bytes: a name or size is missing", f.Name, f.SizeBytes)
	}
	if len(f.SHA256) != 2*len(digest) {
		return digest, fault.New(fault.Invalid, "sha256 of %s is %q, want 32 bytes in hex", f.Name, f.SHA256)
	}
	if _, err := hex.Decode(digest[:], []byte(f.SHA256)); err != nil {
		return digest, fault.New(fault.Invalid, "sha256 of %s is %q, want 32 bytes in hex", f.Name, f.SHA256)
	}
	return digest, nil
}

func (f File) pkg(required bool) Package {
	return Package{Name: f.Name, SHA1: f.SHA1, SHA256: f.SHA256, SizeBytes: f.SizeBytes, Required: required}
}

// postInstall is the event of the one action that clients read.
const postInstall = "postinstall"

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
		if action.Event != postInstall {
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
