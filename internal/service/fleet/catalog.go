package fleet

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/admin"
	"conifer.dev/conifer/internal/service/store"
	"conifer.dev/conifer/internal/wire/omaha"
	"conifer.dev/conifer/internal/wire/release"
)

// plainName is what an application, channel, group or file may be called: it fits in a URL and in a table.
var plainName = regexp.MustCompile(`^[A-Za-z0-9_{][A-Za-z0-9._{}+~-]{0,127}$`)

func checkName(what, name string) error {
	if !plainName.MatchString(name) {
		return fault.New(fault.Invalid, "%s %q is not a plain name", what, name).
			WithHint("Use letters, digits and . _ + ~ - only, at most 128 of them.")
	}
	return nil
}

// Apps lists the applications by name.
func (f *Fleet) Apps() []store.App {
	f.mu.Lock()
	defer f.mu.Unlock()
	apps := []store.App{}
	for _, a := range f.memory.numbered {
		apps = append(apps, a.App)
	}
	slices.SortFunc(apps, func(a, b store.App) int { return cmp.Compare(a.Name, b.Name) })
	return apps
}

// AddApp adds an application; adding the same again changes nothing.
func (f *Fleet) AddApp(ctx context.Context, who string, want store.App) error {
	return f.change(ctx, func(m *memory) ([]store.Change, error) { return f.addApp(m, who, want) })
}

func (f *Fleet) addApp(m *memory, who string, want store.App) ([]store.Change, error) {
	for what, name := range map[string]string{"application id": want.ID, "application name": want.Name, "product id": want.ProductID} {
		if what == "product id" && name == "" {
			continue
		}
		if err := checkName(what, name); err != nil {
			return nil, err
		}
	}
	var same *app
	for _, name := range []string{want.ID, want.Name, want.ProductID} {
		a, err := m.find(name)
		if err != nil {
			continue
		}
		if omaha.CanonicalID(a.ID) != omaha.CanonicalID(want.ID) {
			return nil, fault.New(fault.Conflict, "application %s (%s) goes by %s already", a.Name, a.ID, name)
		}
		same = a
	}
	if same != nil && same.App == want {
		return nil, nil
	}
	if same != nil {
		want.ID = same.ID
		return []store.Change{store.PutApp{App: want}, f.activity(who, want.ID, "changed application "+want.Name)}, nil
	}
	if len(m.numbered) > 1<<15 {
		return nil, fault.New(fault.Unsupported, "there are %d applications, and no more fit", len(m.numbered))
	}
	return []store.Change{store.PutApp{App: want}, f.activity(who, want.ID, "added application "+want.Name)}, nil
}

func (f *Fleet) activity(who, app, text string) store.Change {
	return store.AddActivity{Activity: store.Activity{At: f.now(), Who: who, App: app, Text: text}}
}

// Releases lists the releases of an application, the newest first.
func (f *Fleet) Releases(appName string) ([]admin.ReleaseStatus, error) {
	all := []admin.ReleaseStatus{}
	err := f.read(func(m *memory) error {
		a, err := m.find(appName)
		if err != nil {
			return err
		}
		for key := range a.releases {
			all = append(all, m.releaseStatus(a, key))
		}
		return nil
	})
	slices.SortFunc(all, func(x, y admin.ReleaseStatus) int {
		return cmp.Or(release.Compare(y.Version, x.Version), cmp.Compare(x.Arch, y.Arch))
	})
	return all, err
}

// Release is one release of an application.
func (f *Fleet) Release(appName, arch, version string) (admin.ReleaseStatus, error) {
	var status admin.ReleaseStatus
	err := f.read(func(m *memory) error {
		a, key, err := m.release(appName, arch, version)
		if err == nil {
			status = m.releaseStatus(a, key)
		}
		return err
	})
	return status, err
}

func (m *memory) release(appName, arch, version string) (*app, releaseKey, error) {
	key := releaseKey{arch, version}
	a, err := m.find(appName)
	if err != nil {
		return nil, key, err
	}
	if _, ok := a.releases[key]; !ok {
		return nil, key, fault.New(fault.NotFound, "application %s has no release %s for %s", a.Name, version, arch).
			WithHint("`conifer release list --app %s` shows those that there are.", a.Name)
	}
	return a, key, nil
}

func (m *memory) releaseStatus(a *app, key releaseKey) admin.ReleaseStatus {
	s := admin.ReleaseStatus{Release: *a.releases[key], Channels: a.pointing(key)}
	if h, ok := a.halts[key]; ok {
		s.Halted, s.HaltReason, s.Halt = true, h.Reason, &h
	}
	s.Barred = m.barredFrom(a, key)
	return s
}

// barredFrom lists the bars of a release. Bars are few, so all are looked at.
func (m *memory) barredFrom(a *app, key releaseKey) []store.Bar {
	var found []store.Bar
	for _, bars := range m.machines.bars {
		for _, b := range bars {
			if m.of(b.App) == a && b.Arch == key.arch && b.Version == key.version {
				found = append(found, b)
			}
		}
	}
	slices.SortFunc(found, func(x, y store.Bar) int { return cmp.Compare(x.Machine, y.Machine) })
	return found
}

// pointing names the channels that point at a release.
func (a *app) pointing(key releaseKey) []string {
	names := []string{}
	for name, c := range a.channels {
		if c.Releases[key.arch] == key.version {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// AddRelease adds a release; no channel points at it. Adding the same again changes nothing but that it may have more deltas then, and another one
// under the same version is a conflict: machines may have it already.
func (f *Fleet) AddRelease(ctx context.Context, who string, r store.Release) error {
	return f.change(ctx, func(m *memory) ([]store.Change, error) {
		a, err := m.find(r.App)
		if err != nil {
			return nil, err
		}
		if err := checkRelease(r); err != nil {
			return nil, err
		}
		if old, ok := a.releases[releaseKey{r.Arch, r.Version}]; ok {
			return f.addAgain(*old, who, r)
		}
		r.App, r.Added = a.ID, f.now()
		deltas := r.Deltas
		r.Deltas = nil
		if r, err = withDeltas(r, deltas); err != nil {
			return nil, err
		}
		return []store.Change{
			store.PutRelease{Release: r}, f.activity(who, a.ID, "added release "+r.Version+" for "+r.Arch),
		}, nil
	})
}

// addAgain adds the deltas that a release does not have yet.
func (f *Fleet) addAgain(old store.Release, who string, r store.Release) ([]store.Change, error) {
	if err := sameRelease(old, r); err != nil {
		return nil, err
	}
	more, err := withDeltas(old, r.Deltas)
	if err != nil || sameDeltas(more.Deltas, old.Deltas) {
		return nil, err
	}
	text := fmt.Sprintf("added deltas: release %s for %s has those from %s now", r.Version, r.Arch, origins(more.Deltas))
	return []store.Change{store.PutRelease{Release: more}, f.activity(who, old.App, text)}, nil
}

func sameRelease(old, r store.Release) error {
	if old.URL == r.URL && old.File == r.File && old.SizeBytes == r.SizeBytes && old.SHA256 == r.SHA256 && slices.Equal(old.Extra, r.Extra) {
		return nil
	}
	return fault.New(fault.Conflict, "release %s for %s exists already, with other files", r.Version, r.Arch).
		WithHint("A release that machines may have never changes: make a new version.")
}

func checkRelease(r store.Release) error {
	if !release.ValidVersion(r.Version) {
		return fault.New(fault.Invalid, "version %q is not of the form 1.2.3", r.Version).
			WithHint("Up to four numbers, then a suffix if need be: 4081.2.1, 4081.2.1+nightly-20261101.")
	}
	if err := checkName("architecture", r.Arch); err != nil {
		return err
	}
	if err := checkURL(r.URL); err != nil {
		return err
	}
	for _, file := range append([]store.File{{Name: r.File, SizeBytes: r.SizeBytes, SHA256: r.SHA256}}, r.Extra...) {
		if err := checkFile(file); err != nil {
			return err
		}
	}
	return nil
}

var hexDigest = regexp.MustCompile(`^[0-9a-f]{64}$`)

func checkFile(file store.File) error {
	if err := checkName("file", file.Name); err != nil {
		return err
	}
	if file.SizeBytes <= 0 {
		return fault.New(fault.Invalid, "file %s has a size of %d bytes", file.Name, file.SizeBytes).
			WithHint("Give its size in bytes: --size N, or NAME,SIZE,SHA256HEX for an extra file.")
	}
	if !hexDigest.MatchString(file.SHA256) {
		return fault.New(fault.Invalid, "sha256 %q of file %s is not 64 digits of lower-case hex", file.SHA256, file.Name).
			WithHint("`sha256sum FILE` prints it.")
	}
	return nil
}

// checkURL accepts a folder below /v1/files/ of this service, or an absolute URL of http or https.
func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return fault.New(fault.Invalid, "url %q is not the URL of a folder", text).
			WithHint("Give it without user, query and fragment: https://files.example.com/4081.2.1/.")
	}
	if u.Scheme == "http" || u.Scheme == "https" {
		return nil
	}
	clean := path.Clean(u.Path)
	if u.IsAbs() || u.Host != "" || clean != strings.TrimSuffix(u.Path, "/") || path.IsAbs(clean) || strings.HasPrefix(clean, "..") || clean == "." {
		return fault.New(fault.Invalid, "url %q is neither absolute (http or https) nor a folder below /v1/files/", text).
			WithHint("Give https://files.example.com/4081.2.1/, or for uploaded files a folder like os/amd64/1.1.0/.")
	}
	return nil
}

// ForgetRelease removes a release that no channel points at. Its files stay.
func (f *Fleet) ForgetRelease(ctx context.Context, who, appName, arch, version string) error {
	return f.change(ctx, func(m *memory) ([]store.Change, error) {
		a, key, err := m.release(appName, arch, version)
		if err != nil {
			return nil, err
		}
		if channels := a.pointing(key); len(channels) > 0 {
			return nil, fault.New(fault.Conflict, "channel %s points at release %s", channels[0], version).
				WithHint("Point it at another release first: `conifer channel set %s --release …`.", channels[0])
		}
		changes := []store.Change{store.RemoveHalt{App: a.ID, Arch: arch, Version: version}}
		for k := range a.rollouts {
			if k.arch == arch && k.version == version {
				changes = append(changes, store.RemoveRollout{App: a.ID, Group: k.group, Arch: arch, Version: version})
			}
		}
		return append(changes, store.RemoveRelease{App: a.ID, Arch: arch, Version: version},
			f.activity(who, a.ID, "forgot release "+version+" for "+arch)), nil
	})
}

// SetRelease changes what is said about a release.
func (f *Fleet) SetRelease(ctx context.Context, who, appName, arch, version string, p admin.ReleasePatch) error {
	return f.change(ctx, func(m *memory) ([]store.Change, error) {
		a, key, err := m.release(appName, arch, version)
		if err != nil {
			return nil, err
		}
		r := *a.releases[key]
		set(&r.Notes, p.Notes)
		set(&r.Floor, p.Floor)
		set(&r.DeadEnd, p.DeadEnd)
		if r, err = withoutDeltas(r, p.DropDeltas); err != nil {
			return nil, err
		}
		if r, err = withDeltas(r, p.AddDeltas); err != nil {
			return nil, err
		}
		old := a.releases[key]
		if r.Notes == old.Notes && r.Floor == old.Floor && r.DeadEnd == old.DeadEnd && sameDeltas(r.Deltas, old.Deltas) {
			return nil, nil
		}
		text := fmt.Sprintf("set release %s for %s: floor %q, dead end %q, notes %q, deltas from %q", version, arch, r.Floor, r.DeadEnd, r.Notes, origins(r.Deltas))
		return []store.Change{store.PutRelease{Release: r}, f.activity(who, a.ID, text)}, nil
	})
}

// Halt stops a release from being offered, in all groups.
func (f *Fleet) Halt(ctx context.Context, who, appName, arch, version, reason string) error {
	return f.change(ctx, func(m *memory) ([]store.Change, error) {
		a, _, err := m.release(appName, arch, version)
		if err != nil {
			return nil, err
		}
		if strings.TrimSpace(reason) == "" {
			return nil, fault.New(fault.Invalid, "a halt has no reason").WithHint("Say why, for whoever finds it: --reason TEXT.")
		}
		h := store.Halt{App: a.ID, Arch: arch, Version: version, Reason: reason, By: who, At: f.now()}
		return []store.Change{store.PutHalt{Halt: h}, f.activity(who, a.ID, "halted release "+version+" for "+arch+": "+reason)}, nil
	})
}

// Resume lets a halted release be offered again. Machines that failed on it stay barred from it.
func (f *Fleet) Resume(ctx context.Context, who, appName, arch, version string) error {
	return f.change(ctx, func(m *memory) ([]store.Change, error) {
		a, key, err := m.release(appName, arch, version)
		if err != nil {
			return nil, err
		}
		if _, halted := a.halts[key]; !halted {
			return nil, fault.New(fault.Conflict, "release %s for %s is not halted", version, arch).
				WithHint("Nothing has to be done; `conifer machine explain` says why a machine is offered nothing.")
		}
		return []store.Change{
			store.RemoveHalt{App: a.ID, Arch: arch, Version: version}, f.activity(who, a.ID, "resumed release "+version+" for "+arch),
		}, nil
	})
}
