// Package files serves the files of releases, and the signed metadata that makes them trusted, from one folder; and takes
// uploads into it.
//
// Start with [Open]; [Folder] is a handler for GET, HEAD and PUT of paths below the prefix that was stripped. It answers
// ranges, with the file's digest as its ETag, and says how long it may be cached. A file is on the disk as a whole or not at
// all, and what was published never changes, except for the few files of metadata, and lists of deltas, that must. It does not check
// who may upload (the caller's table of routes does), and nothing outside the folder can be reached: every path is
// opened through [os.Root].
package files

import (
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/release"
)

// Folder is an open folder of files.
type Folder struct {
	root     *os.Root
	maxBytes int64 // of one upload
	usage    *usage
	digests  digests
	served   *prometheus.CounterVec
}

// Open opens the folder at path and makes it when there is none. An upload may have maxBytes.
func Open(path string, maxBytes int64) (*Folder, error) {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	if err := root.RemoveAll(incoming); err != nil { // what a stopped upload left
		return nil, fmt.Errorf("clear unfinished uploads: %w", err)
	}
	served := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "conifer_files_bytes_total", Help: "Bytes of files sent to machines, by kind of file.",
	}, []string{"kind"})
	return &Folder{root: root, maxBytes: maxBytes, usage: newUsage(), served: served, digests: digests{known: map[string]digested{}}}, nil
}

// Close closes the folder.
func (f *Folder) Close() error { return f.root.Close() }

// Collectors lists the folder's metrics, for a registry.
func (f *Folder) Collectors() []prometheus.Collector { return []prometheus.Collector{f.served} }

// clean is the path of a request below the folder. Hidden names are ours, and links in names have no meaning.
func clean(requested string) (string, error) {
	name := strings.TrimPrefix(requested, "/")
	if !fs.ValidPath(name) || name == "." || strings.ContainsAny(name, "\\\x00") {
		return "", fault.New(fault.Invalid, "%q is not the path of a file", requested)
	}
	for part := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(part, ".") {
			return "", fault.New(fault.Invalid, "%q has a hidden part", requested)
		}
	}
	return name, nil
}

// versioned is metadata whose name holds its version, so that its content never changes (TUF, consistent snapshots).
var versioned = regexp.MustCompile(`^[0-9]+\.[a-z0-9_-]+\.json$`)

// changes reports whether the file's content may change: that is metadata without a version, timestamp.json above all, and the list
// of a release's deltas, because deltas may be made later.
func changes(name string) bool {
	return isMetadata(name) && !versioned.MatchString(path.Base(name)) || path.Base(name) == release.DeltasName
}

func isMetadata(name string) bool { return path.Base(path.Dir(name)) == "metadata" }

func cacheControl(name string) string {
	if changes(name) {
		return "no-cache"
	}
	return "public, max-age=31536000, immutable"
}

// Get answers GET and HEAD.
func (f *Folder) Get(w http.ResponseWriter, r *http.Request) error {
	name, err := clean(r.URL.Path)
	if err != nil {
		return err
	}
	file, err := f.root.Open(name)
	if err != nil {
		return missing(name, err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return missing(name, fs.ErrNotExist)
	}
	digest, err := f.digests.of(name, file, info)
	if err != nil {
		return err
	}
	w.Header().Set("ETag", fmt.Sprintf(`"sha256:%x"`, digest))
	w.Header().Set("Cache-Control", cacheControl(name))
	w.Header().Set("Content-Type", contentType(name))
	counted := &sender{ResponseWriter: w, control: http.NewResponseController(w)}
	http.ServeContent(counted, r, "", time.Time{}, file)
	f.count(name, r, counted.bytes)
	return nil
}

func missing(name string, err error) error {
	if os.IsNotExist(err) {
		return fault.New(fault.NotFound, "there is no file %s", name)
	}
	return fmt.Errorf("open %s: %w", name, err)
}

func contentType(name string) string {
	if path.Ext(name) == ".json" {
		return "application/json"
	}
	return "application/octet-stream"
}

func (f *Folder) count(name string, r *http.Request, sent int64) {
	kind := "content"
	if isMetadata(name) {
		kind = "metadata"
	}
	f.served.WithLabelValues(kind).Add(float64(sent))
	f.usage.add(name, r, sent)
}
