package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/admin"
	"conifer.dev/conifer/internal/service/client"
	"conifer.dev/conifer/internal/service/store"
	"conifer.dev/conifer/internal/service/store/postgres/pgtest"
)

// Two servers on one database: what is told to one, the other knows, its tokens above all; and it stays when the first is gone.
func TestReplicas(t *testing.T) {
	database := pgtest.Database(t)
	replica := func() (string, string, func() int) {
		data := t.TempDir()
		config := filepath.Join(data, "server.toml")
		must(t, os.WriteFile(config, []byte("database = \""+database+"\"\n"), 0o600))
		url, _, stop := start(t, "--data", data, "--config", config)
		return url, data, stop
	}
	url, data, stop := replica()
	one := adminClient(t, url, data)
	otherURL, otherData, _ := replica()
	two := adminClient(t, otherURL, otherData)
	token, err := one.AddToken(t.Context(), admin.TokenRequest{Name: "ada", Role: "operator"})
	must(t, err)
	must(t, one.AddApp(t.Context(), store.App{ID: "conifer-os", Name: "conifer"}))
	for apps := []store.App(nil); len(apps) == 0; time.Sleep(10 * time.Millisecond) {
		apps, err = two.Apps(t.Context())
		must(t, err)
	}
	if code := stop(); code != 0 {
		t.Errorf("the first ended with exit code %d", code)
	}
	ada, err := client.New(otherURL, token.Secret)
	must(t, err)
	must(t, ada.AddChannel(t.Context(), "conifer", "stable"))
	if _, err := two.Backup(t.Context()); !fault.Is(err, fault.Unsupported) {
		t.Errorf("a backup of a database that is not the service's own: %v", err)
	}
}
