package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// issue writes a new certificate for this host and its key into the folder, and returns it.
func issue(t *testing.T, folder string) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{"updates.example"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	must(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(folder, "cert.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(t, os.WriteFile(filepath.Join(folder, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	issued, err := x509.ParseCertificate(der)
	must(t, err)
	return issued
}

// trusting asks over TLS, and believes the one certificate only.
func trusting(t *testing.T, certificate *x509.Certificate, url string) (string, error) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(certificate)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "updates.example"}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	answer, err := (&http.Client{Transport: transport}).Get(url)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	must(t, err)
	return answer.Proto + " " + string(text), nil
}

// A new certificate is served after SIGHUP, without a restart.
func TestTLS(t *testing.T) {
	data := t.TempDir()
	first := issue(t, data)
	url, stderr, _ := start(t, "--data", data, "--config", filepath.Join(data, "none.toml"),
		"--tls-certificate", filepath.Join(data, "cert.pem"), "--tls-key", filepath.Join(data, "key.pem"))
	url = strings.Replace(url, "http://", "https://", 1)
	if got, err := trusting(t, first, url+"/healthz"); got != "HTTP/2.0 ok\n" || err != nil {
		t.Fatalf("got %q, %v", got, err)
	}
	if got, err := trusting(t, first, url+"/metrics"); !strings.Contains(got, "conifer_certificate_not_after_seconds 1.") || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	second := issue(t, data)
	must(t, syscall.Kill(os.Getpid(), syscall.SIGHUP))
	for strings.Count(stderr.String(), "serving with the certificate") < 2 {
		time.Sleep(time.Millisecond)
	}
	if got, err := trusting(t, second, url+"/healthz"); got != "HTTP/2.0 ok\n" || err != nil {
		t.Errorf("after SIGHUP: got %q, %v", got, err)
	}
}
