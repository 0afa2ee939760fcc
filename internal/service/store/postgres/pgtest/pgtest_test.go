package pgtest

import (
	"os"
	"testing"

	"github.com/jackc/pgx/v5"

	"conifer.dev/conifer/internal/fault"
)

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func one[T any](t *testing.T, conn *pgx.Conn, sql string) T {
	t.Helper()
	var value T
	if err := conn.QueryRow(t.Context(), sql).Scan(&value); err != nil {
		t.Fatal(err)
	}
	return value
}

func TestServerIsDurableAndOffTheNetwork(t *testing.T) {
	conn := connect(t, Database(t))
	defer conn.Close(t.Context())
	for name, want := range map[string]string{"fsync": "on", "synchronous_commit": "on", "listen_addresses": ""} {
		if got := one[string](t, conn, "SHOW "+name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestDatabasesAreEmptyAndApart(t *testing.T) {
	first, second := connect(t, Database(t)), connect(t, Database(t))
	defer first.Close(t.Context())
	defer second.Close(t.Context())
	if _, err := first.Exec(t.Context(), "CREATE TABLE mine ()"); err != nil {
		t.Fatal(err)
	}
	if n := one[int](t, second, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"); n != 0 {
		t.Errorf("the second database has %d tables", n)
	}
}

func TestServerComesBackWithWhatWasCommitted(t *testing.T) {
	s := Start(t)
	for i, end := range []func(){s.Stop, s.Kill} {
		conn := connect(t, s.URL("postgres"))
		if _, err := conn.Exec(t.Context(), "CREATE TABLE IF NOT EXISTS kept (n int); "); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(t.Context(), "INSERT INTO kept VALUES (1)"); err != nil {
			t.Fatal(err)
		}
		end()
		if again, err := pgx.Connect(t.Context(), s.URL("postgres")); err == nil {
			again.Close(t.Context())
			t.Error("a server that was ended answers")
		}
		s.Restart(t)
		conn = connect(t, s.URL("postgres"))
		if n := one[int](t, conn, "SELECT count(*) FROM kept"); n != i+1 {
			t.Errorf("%d rows, want %d", n, i+1)
		}
		conn.Close(t.Context())
	}
}

func TestNothingIsLeft(t *testing.T) {
	s, err := start()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	<-s.exited
	if _, err := os.Stat(s.folder); !os.IsNotExist(err) {
		t.Errorf("the folder is still there: %v", err)
	}
}

func TestMissingPackageIsAnErrorWithAWayOut(t *testing.T) {
	if _, err := installed(t.TempDir()); !fault.Is(err, fault.NotFound) {
		t.Errorf("got %v", err)
	}
}
