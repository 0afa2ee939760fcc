package trust

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"conifer.dev/conifer/internal/fault"
)

func TestRefreshAcceptsAnHonestRepository(t *testing.T) {
	w := newWorld(t)
	view, cache, err := w.refresh(nil)
	if err != nil {
		t.Fatal(err)
	}
	if !view.Expires.Equal(day(7)) || view.RootVersion != 1 || view.TargetsVersion != 1 {
		t.Errorf("view is %+v", view)
	}
	if _, _, err := view.Release(pathOf("1.1.0"), describe("1.1.0")); err != nil {
		t.Error(err)
	}
	if got := view.Paths(); !slices.Equal(got, []string{pathOf("1.1.0")}) {
		t.Errorf("targets are %v", got)
	}
	w.addRelease("1.2.0", nil)
	w.next()
	view, _, err = w.refresh(cache)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := view.Release(pathOf("1.2.0"), describe("1.2.0")); err != nil {
		t.Error(err)
	}
}

func TestRefreshFetchesOnlyWhatChanged(t *testing.T) {
	w := newWorld(t)
	_, cache, err := w.refresh(nil)
	if err != nil {
		t.Fatal(err)
	}
	var fetched []string
	count := func(name string, maxBytes int64) ([]byte, error) {
		fetched = append(fetched, name)
		return serve(w.files)(name, maxBytes)
	}
	if _, _, err := Refresh(w.files["1.root.json"], cache, count, today, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(fetched, []string{"2.root.json", TimestampName}) {
		t.Errorf("fetched %v", fetched)
	}
}

// TestRefreshRefuses is the list of attacks. Each starts from a machine that has seen version 3 of everything.
func TestRefreshRefuses(t *testing.T) {
	cases := []struct {
		name    string
		attack  func(w *world, old map[string][]byte) // old: what the repository served at version 2
		kind    fault.Kind
		message string
	}{
		{"timestamp signed by another key", func(w *world, _ map[string][]byte) {
			w.timestamp.Signed.Version++
			w.files[TimestampName] = sign(w, w.timestamp, "mallory")
		}, fault.Untrusted, "timestamp.json is not signed by enough trusted keys: unsigned metadata error: Verifying timestamp failed, not enough signatures, got 0, want 1"},
		{"timestamp changed after signing", func(w *world, _ map[string][]byte) {
			w.files[TimestampName] = []byte(strings.Replace(string(w.files[TimestampName]), `"version":3}`, `"version":9}`, 1))
		}, fault.Untrusted, "timestamp.json is not signed by enough"},
		{"timestamp replayed", func(w *world, old map[string][]byte) {
			w.files[TimestampName] = old[TimestampName]
		}, fault.Untrusted, "timestamp.json has version 2, but version 3 was seen before"},
		{"timestamp that names an older snapshot", func(w *world, old map[string][]byte) {
			w.timestamp.Signed.Version++
			w.timestamp.Signed.Meta[SnapshotName] = meta(2, old["2.snapshot.json"])
			w.files[TimestampName] = sign(w, w.timestamp, "timestamp")
		}, fault.Untrusted, "timestamp.json names snapshot version 2, but version 3 was seen before"},
		{"snapshot that names older targets", func(w *world, old map[string][]byte) {
			w.snapshot.Signed.Version++
			w.timestamp.Signed.Version++
			w.snapshot.Signed.Meta[TargetsName] = meta(2, old["2.targets.json"])
			w.publishSnapshot()
		}, fault.Untrusted, "4.snapshot.json names targets version 2, but version 3 was seen before"},
		{"timestamp frozen", func(w *world, _ map[string][]byte) {
			w.timestamp.Signed.Version++
			w.timestamp.Signed.Expires = day(-1)
			w.publishSnapshot()
		}, fault.Expired, "timestamp.json expired at 2026-02-28T12:00:00Z, and it is 2026-03-01T12:00:00Z"},
		{"snapshot expired", func(w *world, _ map[string][]byte) {
			w.snapshot.Signed.Expires = day(-1)
			w.next()
		}, fault.Expired, "4.snapshot.json expired"},
		{"targets expired", func(w *world, _ map[string][]byte) {
			w.targets.Signed.Expires = day(-1)
			w.next()
		}, fault.Expired, "4.targets.json expired"},
		{"root expired", func(w *world, _ map[string][]byte) {
			w.root.Signed.Version = 2
			w.root.Signed.Expires = day(-1)
			w.signRoot("root one", "root two")
		}, fault.Expired, "2.root.json expired"},
		{"snapshot of another state", func(w *world, old map[string][]byte) {
			w.next()
			w.files["4.snapshot.json"] = w.files["3.snapshot.json"]
		}, fault.Corrupt, "4.snapshot.json is not the file that its parent names"},
		{"targets of another state", func(w *world, old map[string][]byte) {
			w.next()
			w.files["4.targets.json"] = w.files["3.targets.json"]
		}, fault.Corrupt, "4.targets.json is not the file that its parent names"},
		{"snapshot of another version behind a signed digest", func(w *world, old map[string][]byte) {
			w.timestamp.Signed.Version++
			w.timestamp.Signed.Meta[SnapshotName] = meta(4, w.files["3.snapshot.json"])
			w.files["4.snapshot.json"] = w.files["3.snapshot.json"]
			w.files[TimestampName] = sign(w, w.timestamp, "timestamp")
		}, fault.Untrusted, "4.snapshot.json has version 3, but timestamp.json names version 4"},
		{"targets of another version behind a signed digest", func(w *world, old map[string][]byte) {
			w.files["4.targets.json"] = w.files["3.targets.json"]
			w.snapshot.Signed.Version++
			w.timestamp.Signed.Version++
			w.snapshot.Signed.Meta[TargetsName] = meta(4, w.files["3.targets.json"])
			w.publishSnapshot()
		}, fault.Untrusted, "4.targets.json has version 3, but snapshot.json names version 4"},
		{"targets signed by the snapshot key", func(w *world, _ map[string][]byte) {
			w.next()
			b := sign(w, w.targets, "snapshot")
			w.files["4.targets.json"] = b
			w.snapshot.Signed.Meta[TargetsName] = meta(4, b)
			w.publishSnapshot()
		}, fault.Untrusted, "4.targets.json is not signed by enough"},
		{"snapshot longer than named", func(w *world, _ map[string][]byte) {
			w.next()
			w.files["4.snapshot.json"] = append(w.files["4.snapshot.json"], ' ')
		}, fault.Corrupt, "4.snapshot.json is longer than"},
		{"snapshot cut short", func(w *world, _ map[string][]byte) {
			w.next()
			w.files["4.snapshot.json"] = w.files["4.snapshot.json"][:100]
		}, fault.Corrupt, "4.snapshot.json is not the file"},
		{"endless timestamp", func(w *world, _ map[string][]byte) {
			w.files[TimestampName] = make([]byte, 1<<20)
		}, fault.Corrupt, "timestamp.json is longer than 16384 bytes"},
		{"endless root", func(w *world, _ map[string][]byte) {
			w.files["2.root.json"] = make([]byte, 1<<20)
		}, fault.Corrupt, "2.root.json is longer than 524288 bytes"},
		{"snapshot in place of the timestamp", func(w *world, _ map[string][]byte) {
			w.files[TimestampName] = w.files["3.snapshot.json"]
		}, fault.Untrusted, "timestamp.json is not metadata of the role timestamp"},
		{"root signed by one of two keys", func(w *world, _ map[string][]byte) {
			w.root.Signed.Version = 2
			w.signRoot("root one")
		}, fault.Untrusted, "2.root.json is not signed by enough trusted keys: unsigned metadata error: Verifying root failed, not enough signatures, got 1, want 2"},
		{"root signed by its own new keys alone", func(w *world, _ map[string][]byte) {
			w.root = metadata.Root(day(365))
			for _, role := range []string{"root", "targets", "snapshot", "timestamp"} {
				w.addKey(role, "mallory")
			}
			w.root.Signed.Version = 2
			w.signRoot("mallory")
		}, fault.Untrusted, "2.root.json is not signed by enough"},
		{"root signed by the old keys, not by its own", func(w *world, _ map[string][]byte) {
			w.root.Signed.Version = 2
			w.addKey("root", "root three")
			w.root.Signed.Roles["root"].Threshold = 3
			w.signRoot("root one", "root two")
		}, fault.Untrusted, "got 2, want 3"},
		{"root that skips a version", func(w *world, _ map[string][]byte) {
			w.root.Signed.Version = 3
			w.signRoot("root one", "root two")
			w.files["2.root.json"] = w.files["3.root.json"]
		}, fault.Untrusted, "2.root.json has version 3, want 2"},
		{"root replayed under the next name", func(w *world, _ map[string][]byte) {
			w.files["2.root.json"] = w.files["1.root.json"]
		}, fault.Untrusted, "2.root.json has version 1, want 2"},
		{"root without consistent snapshots", func(w *world, _ map[string][]byte) {
			w.root.Signed.Version = 2
			w.root.Signed.ConsistentSnapshot = false
			w.signRoot("root one", "root two")
		}, fault.Unsupported, "does not promise consistent snapshots"},
		{"snapshot that names no targets", func(w *world, _ map[string][]byte) {
			w.snapshot.Signed.Version++
			w.timestamp.Signed.Version++
			delete(w.snapshot.Signed.Meta, TargetsName)
			w.publishSnapshot()
		}, fault.Untrusted, "missing info for targets.json"},
		{"timestamp that names no snapshot", func(w *world, _ map[string][]byte) {
			w.timestamp.Signed.Version++
			delete(w.timestamp.Signed.Meta, SnapshotName)
			w.files[TimestampName] = sign(w, w.timestamp, "timestamp")
		}, fault.Corrupt, "timestamp.json does not name snapshot.json"},
		{"no JSON", func(w *world, _ map[string][]byte) {
			w.files[TimestampName] = []byte("<html>")
		}, fault.Corrupt, "parse timestamp.json"},
		{"missing snapshot", func(w *world, _ map[string][]byte) {
			w.next()
			delete(w.files, "4.snapshot.json")
		}, fault.NotFound, "fetch 4.snapshot.json: 4.snapshot.json does not exist"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.next()
			old := w.copyFiles()
			w.next()
			_, cache, err := w.refresh(nil)
			if err != nil {
				t.Fatal(err)
			}
			c.attack(w, old)
			_, after, err := w.refresh(cache)
			if !fault.Is(err, c.kind) || !strings.Contains(err.Error(), c.message) {
				t.Errorf("got %v (%v), want %v: %s", err, fault.KindOf(err), c.kind, c.message)
			}
			w.files = old
			if _, _, err := w.refresh(after); err == nil {
				t.Errorf("after the attack, the cache admits version 2 again")
			}
		})
	}
}

func TestRefreshFollowsTheChainOfRoots(t *testing.T) {
	w := newWorld(t)
	one := w.files["1.root.json"]
	w.root.Signed.Version = 2
	w.root.Signed.Expires = day(-1) // one on the way may have expired
	w.addKey("root", "root three")
	w.signRoot("root one", "root two")
	w.root.Signed.Version, w.root.Signed.Expires = 3, day(365)
	id := w.root.Signed.Roles["timestamp"].KeyIDs[0]
	w.must(w.root.Signed.RevokeKey(id, "timestamp"))
	w.addKey("timestamp", "timestamp two")
	w.signRoot("root one", "root three")

	_, cache, err := w.refresh(nil)
	if !fault.Is(err, fault.Untrusted) {
		t.Errorf("a timestamp by the revoked key: got %v", err)
	}
	w.files[TimestampName] = sign(w, w.timestamp, "timestamp two")
	view, _, err := w.refresh(cache)
	if err != nil || view.RootVersion != 3 {
		t.Fatalf("view %+v, %v", view, err)
	}
	for _, name := range []string{"2.root.json", "3.root.json"} {
		if cache[name] == nil {
			t.Errorf("the cache lacks %s", name)
		}
		delete(w.files, name)
	}
	// A mirror that hides the new roots does not bring the revoked key back.
	w.timestamp.Signed.Version++
	w.files[TimestampName] = sign(w, w.timestamp, "timestamp")
	if _, _, err := Refresh(one, cache, serve(w.files), today, time.Time{}); !fault.Is(err, fault.Untrusted) {
		t.Errorf("hidden roots: got %v", err)
	}
}

// TestRotationOfTheTimestampKeyEndsAFastForward follows 5.3.11: an attacker with the timestamp key published a huge
// version; after the rotation of the key, machines that saw it accept small ones again.
func TestRotationOfTheTimestampKeyEndsAFastForward(t *testing.T) {
	w := newWorld(t)
	w.timestamp.Signed.Version = 1 << 40
	w.publishSnapshot()
	_, cache, err := w.refresh(nil)
	if err != nil {
		t.Fatal(err)
	}
	w.root.Signed.Version = 2
	w.must(w.root.Signed.RevokeKey(w.root.Signed.Roles["timestamp"].KeyIDs[0], "timestamp"))
	w.addKey("timestamp", "timestamp two")
	w.signRoot("root one", "root two")
	w.timestamp.Signed.Version = 2
	w.files[TimestampName] = sign(w, w.timestamp, "timestamp two")
	if _, _, err := w.refresh(cache); err != nil {
		t.Error(err)
	}
}

func TestRefreshStopsAtAnEndlessChainOfRoots(t *testing.T) {
	w := newWorld(t)
	for v := int64(2); v <= MaxRootRotations+2; v++ {
		w.root.Signed.Version = v
		w.signRoot("root one", "root two")
	}
	if _, _, err := w.refresh(nil); !fault.Is(err, fault.Untrusted) || !strings.Contains(err.Error(), "more than 256 roots") {
		t.Errorf("got %v", err)
	}
}

func TestRefreshTrustsNoCache(t *testing.T) {
	w := newWorld(t)
	forged := Cache{}
	for _, name := range []string{"2.root.json", TimestampName, SnapshotName, TargetsName} {
		forged[name] = []byte(`{"signed":{"_type":"targets","version":9,"targets":{}},"signatures":[]}`)
	}
	m := newWorld(t)
	m.targets.Signed.Targets = map[string]*metadata.TargetFiles{}
	m.targets.Signed.Version = 1
	forged[TargetsName] = sign(m, m.targets, "mallory")
	view, cache, err := w.refresh(forged)
	if err != nil {
		t.Fatal(err)
	}
	if len(view.Paths()) != 1 || string(cache[TargetsName]) != string(w.files["1.targets.json"]) {
		t.Error("the forged targets were used")
	}
}

func TestAClockBeforeTheBuildIsLifted(t *testing.T) {
	w := newWorld(t)
	w.timestamp.Signed.Expires = day(-1)
	w.publishSnapshot()
	for _, c := range []struct {
		name           string
		now, notBefore time.Time
		want           bool
	}{
		{"clock at the epoch, no floor", time.Unix(0, 0), time.Time{}, true},
		{"clock at the epoch, floor after expiry", time.Unix(0, 0), today, false},
		{"clock right, floor long ago", today, day(-100), false},
		{"clock right and before expiry", day(-2), day(-100), true},
	} {
		_, _, err := Refresh(w.files["1.root.json"], nil, serve(w.files), c.now, c.notBefore)
		if (err == nil) != c.want || err != nil && !fault.Is(err, fault.Expired) {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
}

func TestAnEqualTimestampMustNotHaveExpired(t *testing.T) {
	w := newWorld(t)
	_, cache, err := w.refresh(nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = Refresh(w.files["1.root.json"], cache, serve(w.files), day(8), time.Time{})
	if !fault.Is(err, fault.Expired) {
		t.Errorf("got %v", err)
	}
	w.timestamp.Signed.Version, w.timestamp.Signed.Expires = 2, day(14)
	w.files[TimestampName] = sign(w, w.timestamp, "timestamp")
	if _, _, err = Refresh(w.files["1.root.json"], cache, serve(w.files), day(8), time.Time{}); err != nil {
		t.Errorf("a fresh timestamp after an expired one: %v", err)
	}
}

func TestInitialRootIsInspected(t *testing.T) {
	w := newWorld(t)
	good := string(w.files["1.root.json"])
	for _, c := range []struct {
		name, text string
		kind       fault.Kind
	}{
		{"empty", "", fault.Corrupt},
		{"null", "null", fault.Untrusted},
		{"another role", string(w.files[TimestampName]), fault.Untrusted},
		{"key of another algorithm", strings.ReplaceAll(good, `"keytype":"ed25519"`, `"keytype":"rsa"`), fault.Unsupported},
		{"null key", strings.Replace(good, `"keys":{`, `"keys":{"x":null,`, 1), fault.Corrupt},
		{"null role", strings.Replace(good, `"roles":{`, `"roles":{"x":null,`, 1), fault.Corrupt},
		{"version 0", strings.Replace(good, `"version":1`, `"version":0`, 1), fault.Corrupt},
		{"changed", strings.Replace(good, `"threshold":2`, `"threshold":1`, 1), fault.Untrusted},
	} {
		if _, _, err := Refresh([]byte(c.text), nil, serve(w.files), today, today); !fault.Is(err, c.kind) {
			t.Errorf("%s: got %v (%v)", c.name, err, fault.KindOf(err))
		}
	}
}
