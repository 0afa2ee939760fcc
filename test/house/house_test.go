// Package house holds the rules of the house as tests: who may import whom, what is pure, and that every
// package says what it is.
package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "conifer.dev/conifer/"

// stations in the order of a release's path.
var stations = []string{"factory", "service", "cluster", "machine"}

// pure packages decide and never do: see ARCHITECTURE.md, "Decide apart from do". A name ending in /...
// covers everything below it.
var pure = []string{
	"internal/fault", "internal/wire/...", "internal/service/rollout", "internal/service/certify",
	"internal/cluster/reboot", "internal/cluster/staging", "internal/machine/update",
}

// forbidden to pure packages: packages as a whole, and single functions.
var (
	forbiddenImports = []string{"os", "net", "net/http", "math/rand", "math/rand/v2", "log", "log/slog", "time/tzdata", "crypto/rand"}
	forbiddenCalls   = map[string][]string{"time": {"Now", "Sleep", "After", "Since", "Until", "NewTimer", "NewTicker", "Tick", "AfterFunc"}}
)

// agentMustNotLink lists what the program on the minimal OS leaves out, by prefix.
var agentMustNotLink = []string{"database/sql", "modernc.org/sqlite", "go.etcd.io", "k8s.io", "google.golang.org/grpc"}

type file struct {
	dir  string // relative to the root, with slashes
	path string
	ast  *ast.File
	test bool
}

func parseAll(t *testing.T) []file {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	var files []file
	fset := token.NewFileSet()
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") && path != root {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") {
			return nil
		}
		parsed, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		files = append(files, file{filepath.ToSlash(rel), path, parsed, strings.HasSuffix(path, "_test.go")})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 10 {
		t.Fatalf("found %d Go files: the walk looks in the wrong place", len(files))
	}
	return files
}

func imports(f file) []string {
	var paths []string
	for _, spec := range f.ast.Imports {
		path, _ := strconv.Unquote(spec.Path.Value)
		paths = append(paths, path)
	}
	return paths
}

// station is the station a folder belongs to, or "".
func station(dir string) string {
	for _, s := range stations {
		if dir == "internal/"+s || strings.HasPrefix(dir, "internal/"+s+"/") {
			return s
		}
	}
	return ""
}

func TestStationsDoNotImportEachOther(t *testing.T) {
	for _, f := range parseAll(t) {
		own := station(f.dir)
		wire := strings.HasPrefix(f.dir, "internal/wire/")
		if own == "" && !wire {
			continue
		}
		for _, path := range imports(f) {
			other := station(strings.TrimPrefix(path, module))
			if other != "" && other != own {
				t.Errorf("%s imports %s: stations meet only in internal/wire, in cmd and in internal/sim", f.path, path)
			}
		}
	}
}

func isPure(dir string) bool {
	for _, p := range pure {
		tree, all := strings.CutSuffix(p, "/...")
		if dir == p || all && strings.HasPrefix(dir, tree+"/") {
			return true
		}
	}
	return false
}

func TestPurePackagesArePure(t *testing.T) {
	for _, f := range parseAll(t) {
		if f.test || !isPure(f.dir) {
			continue
		}
		for _, path := range imports(f) {
			for _, bad := range forbiddenImports {
				if path == bad {
					t.Errorf("%s imports %s, but the package is pure: pass the value in", f.path, path)
				}
			}
			if inside, ok := strings.CutPrefix(path, module); ok && !isPure(inside) {
				t.Errorf("%s imports %s, which is not pure", f.path, path)
			}
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s starts a goroutine, but the package is pure", f.path)
			case *ast.SelectorExpr:
				pkg, ok := n.X.(*ast.Ident)
				for _, bad := range forbiddenCalls[identName(pkg, ok)] {
					if n.Sel.Name == bad {
						t.Errorf("%s uses %s.%s, but the package is pure: take the time as an argument", f.path, pkg.Name, bad)
					}
				}
			}
			return true
		})
	}
}

func identName(id *ast.Ident, ok bool) string {
	if !ok {
		return ""
	}
	return id.Name
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	said := map[string]bool{}
	for _, f := range parseAll(t) {
		if f.test && said[f.dir] {
			continue
		}
		ok := f.ast.Doc != nil && len(f.ast.Doc.Text()) >= 60
		said[f.dir] = said[f.dir] || ok
	}
	for dir, ok := range said {
		if !ok {
			t.Errorf("%s has no package comment: say what it is, where to start and what it refuses to do", dir)
		}
	}
}

func TestAgentStaysSmall(t *testing.T) {
	byDir := map[string][]string{}
	for _, f := range parseAll(t) {
		if !f.test {
			byDir[f.dir] = append(byDir[f.dir], imports(f)...)
		}
	}
	seen := map[string]bool{}
	var visit func(dir string)
	visit = func(dir string) {
		if seen[dir] {
			return
		}
		seen[dir] = true
		for _, path := range byDir[dir] {
			for _, bad := range agentMustNotLink {
				if path == bad || strings.HasPrefix(path, bad+"/") {
					t.Errorf("conifer-agent links %s through %s", path, dir)
				}
			}
			if inside, ok := strings.CutPrefix(path, module); ok {
				visit(inside)
			}
		}
	}
	visit("cmd/conifer-agent")
}
