package agent

import (
	"context"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/folder"
	"conifer.dev/conifer/internal/machine/install"
	"conifer.dev/conifer/internal/machine/update"
	"conifer.dev/conifer/internal/wire/payload"
	"conifer.dev/conifer/internal/wire/release"
	"conifer.dev/conifer/internal/wire/trust"
)

// tufRepository is a repository behind HTTP, trusted from a root that is part of the system.
type tufRepository struct {
	client    *http.Client
	cache     folder.Folder
	root      []byte
	notBefore time.Time // a clock that shows an earlier time is wrong
	app, arch string
}

// Verify implements Repository. Of the folders that are said to hold the release, the first one is taken from which all of it
// proves right.
func (r *tufRepository) Verify(ctx context.Context, offer update.Offer, running, newest string) (Signed, error) {
	err := error(fault.New(fault.Invalid, "release %s is offered without a codebase", offer.Version))
	for i, codebase := range offer.Codebases {
		signed, nextErr := r.verify(ctx, offer, codebase, running, newest)
		if nextErr == nil {
			return signed, nil
		}
		if i == 0 || passing(nextErr) && !passing(err) {
			err = nextErr
		}
	}
	return Signed{}, err
}

func (r *tufRepository) verify(ctx context.Context, offer update.Offer, codebase, running, newest string) (Signed, error) {
	name := release.TargetPath(r.app, r.arch, offer.Version)
	base, ok := strings.CutSuffix(codebase, strings.TrimSuffix(name, release.FileName))
	if !ok || !isURL(base) || !release.ValidVersion(offer.Version) {
		return Signed{}, fault.New(fault.Invalid, "codebase %q does not end in the folder of release %s for %s", codebase, offer.Version, r.arch)
	}
	view, err := r.refresh(ctx, base)
	if err != nil {
		return Signed{}, err
	}
	if _, err := view.Target(name); err != nil {
		return Signed{}, err
	}
	text, err := fetch(ctx, r.client, codebase+release.FileName, trust.MaxReleaseSizeBytes)
	if err != nil {
		return Signed{}, err
	}
	rel, target, err := view.Release(name, text)
	if err != nil {
		return Signed{}, err
	}
	signed := Signed{Release: rel, DowngradeAllowed: newest != "" && release.Compare(rel.Version, newest) < 0}
	if offer.Payload != "" && offer.Payload != rel.Payload.Name {
		signed.Delta, signed.NoDelta = r.delta(ctx, view, rel, codebase, running)
	}
	return signed, trust.Admit(rel, newest, target.Custom)
}

// delta finds the delta from what runs. Which file was offered does not matter: what is signed says which one it is.
func (r *tufRepository) delta(ctx context.Context, view *trust.View, rel *release.Release, codebase, running string) (*release.Delta, error) {
	target, err := view.Target(deltasPath(rel))
	if err != nil {
		return nil, err
	}
	text, err := fetch(ctx, r.client, codebase+release.DeltasName, target.SizeBytes)
	if err != nil {
		return nil, err
	}
	if err := target.Check(text); err != nil {
		return nil, err
	}
	deltas, err := release.ParseDeltas(text)
	if err != nil {
		return nil, err
	}
	if deltas.App != rel.App || deltas.Arch != rel.Arch || deltas.Version != rel.Version {
		return nil, fault.New(fault.Untrusted, "%s describes deltas to %s/%s/%s", target.Path, deltas.App, deltas.Arch, deltas.Version)
	}
	delta, err := deltas.From(running)
	if err != nil {
		return nil, err
	}
	if err := checkFeatures(delta); err != nil {
		return nil, err
	}
	return delta, nil
}

// deltasPath is the TUF target path of the list of deltas to a release.
func deltasPath(rel *release.Release) string {
	return path.Join(path.Dir(release.TargetPath(rel.App, rel.Arch, rel.Version)), release.DeltasName)
}

func checkFeatures(d *release.Delta) error {
	for _, name := range d.Features {
		if !slices.Contains(payload.Features, name) {
			return fault.New(fault.Unsupported, "the delta from %s needs the feature %q", d.From, name)
		}
	}
	return nil
}

// refresh brings the metadata up to date. What was verified is kept even when the whole is not to be trusted, so that
// nothing older is accepted later.
func (r *tufRepository) refresh(ctx context.Context, base string) (*trust.View, error) {
	old, err := r.load()
	if err != nil {
		return nil, err
	}
	get := func(name string, maxBytes int64) ([]byte, error) {
		return fetch(ctx, r.client, base+trust.Folder+name, maxBytes)
	}
	view, fresh, err := trust.Refresh(r.root, old, get, time.Now(), r.notBefore)
	for name, text := range fresh {
		if string(old[name]) == string(text) {
			continue
		}
		if saveErr := folder.Replace(r.cache, name, text); saveErr != nil && err == nil {
			err = saveErr
		}
	}
	return view, err
}

// load reads the cache. Nothing in it is believed.
func (r *tufRepository) load() (trust.Cache, error) {
	infos, err := r.cache.List()
	if err != nil {
		return nil, folder.Classify("read metadata cache", err)
	}
	cache := trust.Cache{}
	for _, info := range infos {
		if !strings.HasSuffix(info.Name, ".json") || info.SizeBytes > trust.MaxTargetsSizeBytes {
			continue
		}
		if cache[info.Name], err = folder.Read(r.cache, info.Name, trust.MaxTargetsSizeBytes); err != nil {
			return nil, err
		}
	}
	return cache, nil
}

// Payload implements Repository.
func (r *tufRepository) Payload(codebases []string, p *release.Payload) install.Source {
	m := &mirrors{}
	for _, codebase := range codebases {
		m.sources = append(m.sources, &source{client: r.client, url: codebase + p.Name, sizeBytes: p.SizeBytes})
	}
	return m
}
