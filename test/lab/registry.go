package lab

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// WebPort is where the application answers, on the machine as on its forwarded port.
const WebPort = 8080

// Registry serves container images on loopback for the machines of a lab.
type Registry struct {
	Port   int
	server *http.Server
}

// NewRegistry starts a registry that holds one image, "web:1": the program of test/lab/web, alone.
func NewRegistry(ctx context.Context) (*Registry, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &Registry{Port: listener.Addr().(*net.TCPAddr).Port}
	r.server = &http.Server{
		Handler:           registry.New(registry.Logger(log.New(io.Discard, "", 0))),
		ReadHeaderTimeout: 10 * time.Second,
	}
	go r.server.Serve(listener)
	if err := r.push(ctx); err != nil {
		r.Close()
		return nil, fmt.Errorf("push application image: %w", err)
	}
	return r, nil
}

// Close stops serving.
func (r *Registry) Close() error { return r.server.Close() }

// Image is the reference by which a guest pulls the application.
func (r *Registry) Image() string { return fmt.Sprintf("%s:%d/web:1", Host, r.Port) }

func (r *Registry) push(ctx context.Context) error {
	program, err := buildWeb(ctx)
	if err != nil {
		return err
	}
	image, err := webImage(program)
	if err != nil {
		return err
	}
	ref, err := name.NewTag(fmt.Sprintf("127.0.0.1:%d/web:1", r.Port), name.Insecure)
	if err != nil {
		return err
	}
	return remote.Write(ref, image, remote.WithContext(ctx))
}

func buildWeb(ctx context.Context) ([]byte, error) {
	out, err := os.CreateTemp("", "conifer-web-")
	if err != nil {
		return nil, err
	}
	out.Close()
	defer os.Remove(out.Name())
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", out.Name(), "conifer.dev/conifer/test/lab/web")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if text, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build test/lab/web: %w: %s", err, text)
	}
	return os.ReadFile(out.Name())
}

func webImage(program []byte) (v1.Image, error) {
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	if err := w.WriteHeader(&tar.Header{Name: "web", Mode: 0o755, Size: int64(len(program))}); err != nil {
		return nil, err
	}
	if _, err := w.Write(program); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	content, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(layer.Bytes())), nil
	})
	if err != nil {
		return nil, err
	}
	image, err := mutate.AppendLayers(empty.Image, content)
	if err != nil {
		return nil, err
	}
	return mutate.ConfigFile(image, &v1.ConfigFile{
		Architecture: "amd64", OS: "linux",
		Config: v1.Config{Entrypoint: []string{"/web"}, User: "65534"},
		RootFS: v1.RootFS{Type: "layers", DiffIDs: diffIDs(image)},
	})
}

func diffIDs(image v1.Image) []v1.Hash {
	config, err := image.ConfigFile()
	if err != nil {
		return nil
	}
	return config.RootFS.DiffIDs
}
