package edge

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"conifer.dev/conifer/internal/fault"
)

// checkEvery is how often the files of a certificate are looked at.
const checkEvery = 10 * time.Second

// Certificate is the service's own, from files that somebody else renews.
type Certificate struct {
	certificate, key string // paths
	log              *slog.Logger
	current          atomic.Pointer[tls.Certificate]
	seen             [2]stamp
}

// stamp tells whether a file has changed.
type stamp struct {
	modified  time.Time
	sizeBytes int64
}

// OpenCertificate reads a certificate with those above it, and its key, both in PEM.
func OpenCertificate(certificate, key string, log *slog.Logger) (*Certificate, error) {
	c := &Certificate{certificate: certificate, key: key, log: log}
	c.seen = c.stamps()
	return c, c.load()
}

func (c *Certificate) stamps() (s [2]stamp) {
	for i, path := range []string{c.certificate, c.key} {
		if info, err := os.Stat(path); err == nil {
			s[i] = stamp{info.ModTime(), info.Size()}
		}
	}
	return s
}

func (c *Certificate) load() error {
	pair, err := tls.LoadX509KeyPair(c.certificate, c.key)
	if err != nil {
		return fault.New(fault.Invalid, "read the certificate %s with the key %s: %w", c.certificate, c.key, err).
			WithHint("Both are PEM; the certificate's file holds those above it too, after its own.")
	}
	if pair.Leaf == nil {
		if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
			return fmt.Errorf("read the certificate %s: %w", c.certificate, err)
		}
	}
	c.current.Store(&pair)
	c.log.Info("serving with the certificate", "file", c.certificate, "not_after", pair.Leaf.NotAfter, "names", pair.Leaf.DNSNames)
	return nil
}

// Expires is when the certificate in use ends.
func (c *Certificate) Expires() time.Time { return c.current.Load().Leaf.NotAfter }

// Config is for a listener: TLS 1.2 and up, with whatever certificate is current at a handshake.
func (c *Certificate) Config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current.Load(), nil },
	}
}

// Follow reads the files again when they have changed, and whenever told to, until ctx ends. A pair that cannot be used
// leaves the one in use in place.
func (c *Certificate) Follow(ctx context.Context, told <-chan os.Signal) {
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if c.stamps() == c.seen {
				continue
			}
		case <-told:
		}
		c.seen = c.stamps()
		if err := c.load(); err != nil {
			c.log.Error("the new certificate is not used, the old one stays", "error", err)
		}
	}
}
