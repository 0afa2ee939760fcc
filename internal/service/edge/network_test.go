package edge

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"conifer.dev/conifer/internal/fault"
)

// serveOn serves the handler on a free port, with so many connections.
func serveOn(t *testing.T, max int, handler http.HandlerFunc) (address string, c *Connections) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	c = NewConnections(max)
	s := Serve(handler, c, slog.New(slog.DiscardHandler))
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(c.Listen(l)) }()
	t.Cleanup(func() {
		must(t, s.Close())
		if err := <-ended; err != http.ErrServerClosed {
			t.Error(err)
		}
	})
	return l.Addr().String(), c
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

func ask(t *testing.T, conn net.Conn) string {
	t.Helper()
	_, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	must(t, err)
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	must(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	must(t, err)
	return string(text)
}

func hello(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }

// When all places are taken by peers that wait for nothing, the next one is let in all the same, again and again.
func TestIdleConnectionsMakeRoom(t *testing.T) {
	address, c := serveOn(t, 2, hello)
	for n := range 10 {
		age(t, c, min(n, 2))
		if got := ask(t, dial(t, address)); got != "hello" {
			t.Fatalf("got %q", got)
		}
	}
	if c.Open() > 2 || c.Evicted() < 8 {
		t.Errorf("%d connections are open, %d were closed", c.Open(), c.Evicted())
	}
}

// A peer that has begun a request and goes on with it for long has to go before one that asks properly; a download has not.
func TestStalledConnectionsMakeRoom(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	address, c := serveOn(t, 2, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/file" {
			over := Lasting(r.Context())
			defer over()
			close(entered)
			<-leave
		}
		hello(w, r)
	})
	download := dial(t, address)
	_, err := io.WriteString(download, "GET /file HTTP/1.1\r\nHost: x\r\n\r\n")
	must(t, err)
	<-entered
	slow := dial(t, address)
	_, err = io.WriteString(slow, "GET / HTTP/1.1\r\nHo")
	must(t, err)
	age(t, c, 2)
	if got := ask(t, dial(t, address)); got != "hello" {
		t.Fatalf("got %q", got)
	}
	if _, err := slow.Read(make([]byte, 1)); err == nil {
		t.Error("the slow one is still there")
	}
	close(leave)
	answer, err := http.ReadResponse(bufio.NewReader(download), nil)
	must(t, err)
	if answer.StatusCode != http.StatusOK {
		t.Errorf("the download got %s", answer.Status)
	}
}

// age lets so many connections have been where they are for long.
func age(t *testing.T, c *Connections, n int) {
	t.Helper()
	for {
		c.mu.Lock()
		for one := range c.open {
			one.since.Store(time.Now().Add(-2 * stalled).UnixNano())
		}
		aged := len(c.open)
		c.mu.Unlock()
		if aged == n {
			return
		}
	}
}

// A listener that is closed while it waits for a place says so.
func TestCloseWhileFull(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	c := NewConnections(1)
	c.places <- struct{}{}
	bounded := c.Listen(l)
	ended := make(chan error)
	go func() {
		_, err := bounded.Accept()
		ended <- err
	}()
	must(t, bounded.Close())
	if err := <-ended; err != net.ErrClosed {
		t.Errorf("got %v", err)
	}
}

// issue writes a certificate of its own making and its key.
func issue(t *testing.T, folder, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Unix(0, 0), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	must(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	for file, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: secret}} {
		must(t, os.WriteFile(filepath.Join(folder, file), pem.EncodeToMemory(block), 0o600))
	}
}

func openCertificate(t *testing.T, log io.Writer) (c *Certificate, folder string) {
	t.Helper()
	folder = t.TempDir()
	issue(t, folder, "one.example")
	c, err := OpenCertificate(filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem"), slog.New(slog.NewTextHandler(log, nil)))
	must(t, err)
	return c, folder
}

func (c *Certificate) name() string { return c.current.Load().Leaf.Subject.CommonName }

// journal is a log that is read while it is written.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

func TestACertificateFollowsItsFiles(t *testing.T) {
	var log journal
	c, folder := openCertificate(t, &log)
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		told := make(chan os.Signal)
		ended := make(chan struct{})
		go func() {
			c.Follow(ctx, told)
			close(ended)
		}()
		pass := func(want string, complaints int) {
			t.Helper()
			time.Sleep(checkEvery + time.Second)
			synctest.Wait()
			if got := strings.Count(log.String(), "level=ERROR"); c.name() != want || got != complaints {
				t.Errorf("serving %s, want %s; %d complaints, want %d:\n%s", c.name(), want, got, complaints, &log)
			}
		}
		pass("one.example", 0)
		issue(t, folder, "two.example")
		pass("two.example", 0)
		must(t, os.WriteFile(filepath.Join(folder, "key.pem"), []byte("nonsense"), 0o600))
		pass("two.example", 1)
		pass("two.example", 1) // said once
		must(t, os.Remove(filepath.Join(folder, "cert.pem")))
		pass("two.example", 2)
		issue(t, folder, "three.example")
		told <- syscall.SIGHUP
		synctest.Wait()
		if c.name() != "three.example" {
			t.Errorf("serving %s after it was told to look", c.name())
		}
		stop()
		<-ended
	})
}

func TestWrongCertificates(t *testing.T) {
	folder := t.TempDir()
	issue(t, folder, "one.example")
	key := filepath.Join(folder, "key.pem")
	other := t.TempDir()
	issue(t, other, "two.example")
	for _, certificate := range []string{filepath.Join(folder, "none.pem"), key, filepath.Join(other, "cert.pem")} {
		if _, err := OpenCertificate(certificate, key, slog.New(slog.DiscardHandler)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", certificate, err)
		}
	}
}

// The service speaks HTTP/1.1 and 2 over TLS 1.2 and up, and nothing before.
func TestTLS(t *testing.T) {
	c, _ := openCertificate(t, io.Discard)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	connections := NewConnections(8)
	s := Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		over := Lasting(r.Context())
		defer over()
		fmt.Fprint(w, r.Proto)
	}), connections, slog.New(slog.DiscardHandler))
	go s.Serve(tls.NewListener(connections.Listen(l), c.Config()))
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(c.current.Load().Leaf)
	get := func(config *tls.Config, http2 bool) (string, error) {
		config.RootCAs, config.ServerName = roots, "one.example"
		transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: http2}
		defer transport.CloseIdleConnections()
		answer, err := (&http.Client{Transport: transport}).Get("https://" + l.Addr().String())
		if err != nil {
			return "", err
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		return string(text), err
	}
	if got, err := get(&tls.Config{MaxVersion: tls.VersionTLS12}, false); got != "HTTP/1.1" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := get(&tls.Config{}, true); got != "HTTP/2.0" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := get(&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, false); err == nil {
		t.Errorf("TLS 1.1 got %q", got)
	}
	if connections.Open() > 3 {
		t.Errorf("%d connections are open", connections.Open())
	}
}
