package agent

import (
	"context"
	"net/http"
	"strings"
	"time"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/folder"
	"conifer.dev/conifer/internal/machine/install"
	"conifer.dev/conifer/internal/machine/update"
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

// Verify implements Repository.
func (r *tufRepository) Verify(ctx context.Context, offer update.Offer, newest string) (*release.Release, bool, error) {
	path := release.TargetPath(r.app, r.arch, offer.Version)
	base, ok := strings.CutSuffix(offer.Codebase, strings.TrimSuffix(path, release.FileName))
	if !ok || !isURL(base) || !release.ValidVersion(offer.Version) {
		return nil, false, fault.New(fault.Invalid, "codebase %q does not end in the folder of release %s for %s", offer.Codebase, offer.Version, r.arch)
	}
	view, err := r.refresh(ctx, base)
	if err != nil {
		return nil, false, err
	}
	if _, err := view.Target(path); err != nil {
		return nil, false, err
	}
	text, err := fetch(ctx, r.client, offer.Codebase+release.FileName, trust.MaxReleaseSizeBytes)
	if err != nil {
		return nil, false, err
	}
	rel, target, err := view.Release(path, text)
	if err != nil {
		return nil, false, err
	}
	older := newest != "" && release.Compare(rel.Version, newest) < 0
	return rel, older, trust.Admit(rel, newest, target.Custom)
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
func (r *tufRepository) Payload(codebase string, rel *release.Release) install.Source {
	return &source{client: r.client, url: codebase + rel.Payload.Name, sizeBytes: rel.Payload.SizeBytes}
}
