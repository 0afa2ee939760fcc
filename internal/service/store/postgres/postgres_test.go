package postgres

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/store"
	"conifer.dev/conifer/internal/service/store/postgres/pgtest"
	"conifer.dev/conifer/internal/service/store/storetest"
)

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Database {
		url := pgtest.Database(t)
		var passed time.Duration
		return storetest.Database{
			Open: func() storetest.Store { return &ahead{open(t, url), &passed} },
			Pass: func(d time.Duration) {
				age(t, url, d)
				passed += d
			},
		}
	})
}

// ahead is a store in a test that has let time pass. The database's clock has not moved: instead all places have become older,
// and when there is one again is that much later for the test.
type ahead struct {
	*Store
	passed *time.Duration
}

func (a *ahead) Grant(ctx context.Context, l store.Limit, asks []store.Ask, now time.Time) (store.Allowance, error) {
	got, err := a.Store.Grant(ctx, l, asks, now)
	return a.later(got), err
}

func (a *ahead) Allowance(ctx context.Context, l store.Limit, now time.Time) (store.Allowance, error) {
	got, err := a.Store.Allowance(ctx, l, now)
	return a.later(got), err
}

func (a *ahead) later(got store.Allowance) store.Allowance {
	if !got.Again.IsZero() {
		got.Again = got.Again.Add(*a.passed)
	}
	return got
}

func open(t testing.TB, url string) *Store {
	t.Helper()
	s, err := Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// age makes all places older, as if time had passed by the database's clock.
func age(t testing.TB, url string, d time.Duration) {
	t.Helper()
	command(t, url, fmt.Sprintf(`UPDATE place SET begun = begun - %d`, d.Milliseconds()))
	command(t, url, fmt.Sprintf(`UPDATE ledger SET last = last - %d`, d.Milliseconds()))
}

func command(t testing.TB, url, sql string) {
	t.Helper()
	conn := connect(t, url)
	defer conn.Close(t.Context())
	try(t, errorOf(conn.Exec(t.Context(), sql)))
}

func connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	try(t, err)
	return conn
}

func errorOf[T any](_ T, err error) error { return err }

func try(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// value reads one value, as the store's connections see it.
func value[T any](t *testing.T, s *Store, sql string, args ...any) T {
	t.Helper()
	var v T
	try(t, s.pool.QueryRow(t.Context(), sql, args...).Scan(&v))
	return v
}

func TestNewerSchemaIsRefused(t *testing.T) {
	url := pgtest.Database(t)
	open(t, url)
	command(t, url, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)`)
	if _, err := Open(t.Context(), url); !fault.Is(err, fault.Unsupported) || fault.HintOf(err) == "" {
		t.Errorf("got %v", err)
	}
}

// TestEveryEarlierSchemaIsUpgraded starts from each version that there ever was, and from a database that nobody has used.
func TestEveryEarlierSchemaIsUpgraded(t *testing.T) {
	fresh := schema(t, open(t, pgtest.Database(t)))
	folder, err := fs.Sub(migrations, "migrations")
	try(t, err)
	files, err := fs.Glob(folder, "*.sql")
	try(t, err)
	for version := range len(files) {
		url := pgtest.Database(t)
		config, err := pgx.ParseConfig(url)
		try(t, err)
		db := stdlib.OpenDB(*config)
		provider, err := goose.NewProvider(goose.DialectPostgres, db, folder)
		try(t, err)
		if version > 0 {
			try(t, errorOf(provider.UpTo(t.Context(), int64(version))))
		}
		try(t, db.Close())
		if upgraded := schema(t, open(t, url)); upgraded != fresh {
			t.Errorf("from version %d the schema becomes\n%s\nand a new one is\n%s", version, upgraded, fresh)
		}
	}
}

// schema is every column and index in words.
func schema(t *testing.T, s *Store) string {
	t.Helper()
	return value[string](t, s, `SELECT string_agg(line, E'\n' ORDER BY line) FROM (
		SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || coalesce(' ' || collation_name, '') AS line
		FROM information_schema.columns WHERE table_schema = 'public'
		UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
		UNION ALL SELECT conrelid::regclass || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace) lines`)
}

func TestReplicasThatStartAtOnceUpgradeOneByOne(t *testing.T) {
	url := pgtest.Database(t)
	errs := make(chan error)
	for range 4 {
		go func() {
			s, err := Open(t.Context(), url)
			if err == nil {
				err = s.Close()
			}
			errs <- err
		}()
	}
	for range 4 {
		try(t, <-errs)
	}
}

func TestCommitsAreOnTheDiskWhateverTheServerIsSetTo(t *testing.T) {
	url := pgtest.Database(t)
	for set, want := range map[string]string{"off": "on", "on": "on", "remote_apply": "remote_apply"} {
		conn := connect(t, url)
		try(t, errorOf(conn.Exec(t.Context(), "ALTER DATABASE "+conn.Config().Database+" SET synchronous_commit = "+set)))
		conn.Close(t.Context())
		if got := value[string](t, open(t, url), "SHOW synchronous_commit"); got != want {
			t.Errorf("the server says %s: synchronous_commit is %s, want %s", set, got, want)
		}
	}
}

func TestURLMaySetWhatTheStoreSets(t *testing.T) {
	s := open(t, pgtest.Database(t)+"&application_name=mine&pool_max_conns=3&statement_timeout=7s")
	if name := value[string](t, s, "SHOW application_name"); name != "mine" || s.pool.Config().MaxConns != 3 {
		t.Errorf("got %s and %d connections", name, s.pool.Config().MaxConns)
	}
	if wait := value[string](t, s, "SHOW statement_timeout"); wait != "7s" {
		t.Errorf("statement_timeout is %s", wait)
	}
}

func TestOneConnectionIsEnough(t *testing.T) {
	s := open(t, pgtest.Database(t)+"&pool_max_conns=1")
	for name, call := range calls(s) {
		if err := call(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

const secret = "h8Zq-secret"

func TestPasswordIsInNoError(t *testing.T) {
	server := pgtest.Start(t)
	command(t, server.URL("postgres"), `CREATE ROLE guarded LOGIN PASSWORD 'another'`)
	for name, c := range map[string]struct {
		url  string
		kind fault.Kind
	}{
		"wrong password":    {server.URLAs("guarded:"+secret, "postgres"), fault.Unavailable},
		"no such role":      {server.URLAs("nobody:"+secret, "postgres"), fault.Unavailable},
		"no such database":  {server.URLAs("postgres:"+secret, "nowhere"), fault.Unavailable},
		"no server":         {"postgres://u:" + secret + "@/db?host=/nowhere", fault.Unavailable},
		"no host":           {"postgres://u:" + secret + "@127.0.0.1:1/db", fault.Unavailable},
		"wrong escape":      {"postgres://u:" + secret + "%zz@/db", fault.Invalid},
		"wrong port":        {"postgres://u:" + secret + "@host:port/db", fault.Invalid},
		"wrong parameter":   {"postgres://u:" + secret + "@host/db?pool_max_conns=many", fault.Invalid},
		"as parameter":      {"postgres://u@host/db?connect_timeout=x&password=" + secret, fault.Invalid},
		"wrong scheme":      {"mysql://u:" + secret + "@host/db", fault.Invalid},
		"not a URL":         {"host=h user=u password=" + secret, fault.Invalid},
		"wrong certificate": {"postgres://u:" + secret + "@host/db?sslmode=verify-full&sslrootcert=/nowhere", fault.Invalid},
	} {
		_, err := Open(t.Context(), c.url)
		if !fault.Is(err, c.kind) {
			t.Errorf("%s: got %v of kind %v, want %v", name, err, fault.KindOf(err), c.kind)
		}
		if err != nil && strings.Contains(fmt.Sprintf("%v %+v %#v %s", err, err, err, fault.HintOf(err)), secret) {
			t.Errorf("%s: the error shows the password: %#v", name, err)
		}
	}
	if got := (secrecy{secret}).unavailable(fmt.Errorf("dial %s", secret)); strings.Contains(got.Error(), secret) {
		t.Errorf("got %v", got)
	}
}

func machine(id string) store.Machine {
	return store.Machine{App: "a", ID: id, Group: "stable", Arch: "amd64", FirstSeen: noon, LastSeen: noon}
}

var noon = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func TestWhatMachinesMakeUpIsTaken(t *testing.T) {
	s := open(t, pgtest.Database(t))
	m := machine("zero\x00byte and \xff")
	m.Alias = "\xc3\x28"
	e := store.Event{App: "a", Machine: m.ID, At: noon, Version: "1\x00"}
	try(t, s.Apply(t.Context(), []store.Change{store.PutMachine{Machine: m}, store.AddEvent{Event: e}, store.RemovePin{App: "a", Machine: m.ID}}))
	a, err := s.Grant(t.Context(), store.Limit{App: "a", Group: "stable", AtOnce: 1}, []store.Ask{{Machine: m.ID, Version: "1\x00"}}, noon)
	if err != nil || !a.Granted[0] {
		t.Errorf("got %+v, %v", a, err)
	}
	if events, err := s.Events(t.Context(), "a", m.ID, 9); err != nil || len(events) != 1 {
		t.Errorf("got %v, %v", events, err)
	}
	try(t, s.Apply(t.Context(), []store.Change{store.RemoveMachine{App: "a", ID: m.ID}}))
	if n := value[int](t, s, "SELECT count(*) FROM machine") + value[int](t, s, "SELECT open FROM ledger"); n != 0 {
		t.Errorf("%d machines or places are left", n)
	}
}

// TestLoadIsOfOneMoment changes two tables while they are being loaded.
func TestLoadIsOfOneMoment(t *testing.T) {
	s := open(t, pgtest.Database(t))
	try(t, s.Apply(t.Context(), []store.Change{store.PutApp{App: store.App{ID: "a", Name: "a"}}}))
	count := 0
	try(t, s.Load(t.Context(), func(store.Change) error {
		count++
		return s.Apply(context.WithoutCancel(t.Context()), []store.Change{
			store.PutToken{Token: store.Token{ID: "new"}}, store.PutMachine{Machine: machine("new")},
		})
	}))
	if count != 1 || s.position.Load() != 1 {
		t.Errorf("%d records at feed entry %d, want what was there when the load began", count, s.position.Load())
	}
}
