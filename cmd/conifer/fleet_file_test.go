package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/admin"
	"conifer.dev/conifer/internal/service/store"
)

const sampleFile = `
[[app]]
id = "{e96281a6-d1af-4bde-9a0a-97b76e56dc57}"
name = "flatcar"

[[channel]]
app = "flatcar"
name = "stable"
releases = {amd64 = "4081.2.1", arm64 = "4081.2.0"}

[[group]]
app = "flatcar"
name = "db"
channel = "stable"
percent = 25
max_per_period = "1000/15m"
error_budget = "2%"
windows = ["0 22 * * 1-5; 4h; Europe/Berlin"]
`

func TestFleetFileIsRead(t *testing.T) {
	got, err := parseFleetFile("fleet.toml", sampleFile)
	if err != nil {
		t.Fatal(err)
	}
	const id = "{e96281a6-d1af-4bde-9a0a-97b76e56dc57}"
	want := admin.Configuration{
		Apps:     []store.App{{ID: id, Name: "flatcar"}},
		Channels: []admin.ConfigChannel{{App: id, Name: "stable", Releases: map[string]string{"amd64": "4081.2.1", "arm64": "4081.2.0"}}},
		Groups: []store.Group{{
			App: id, Name: "db", Channel: "stable", Percent: "25", MaxPerPeriod: "1000/15m", ErrorBudget: "2%",
			Windows: []string{"0 22 * * 1-5; 4h; Europe/Berlin"},
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestFleetFileErrorsSayWhereAndWhatToDo(t *testing.T) {
	for name, c := range map[string]struct{ text, message, hint string }{
		"misspelt key":      {sampleFile + "max_per_preiod = \"1/1h\"\n", `fleet.toml: line 19: unknown key "max_per_preiod" of [[group]]`, "max_per_period, max_at_once"},
		"key of another":    {"[[app]]\nid = \"x\"\nname = \"y\"\nchannel = \"z\"\n", `line 4: unknown key "channel" of [[app]]`, "id, name, product_id"},
		"unknown table":     {"[[app]]\nid = \"x\"\nname = \"y\"\n\n[[rollout]]\nname = \"z\"\n", `line 5: unknown table "rollout"`, "[[group]]"},
		"key of no table":   {"percent = 3\n", `line 1: unknown table "percent"`, "[[app]]"},
		"another type":      {"[[group]]\napp = \"x\"\nname = \"y\"\nmax_at_once = \"many\"\n", "fleet.toml: line 4", "conifer export"},
		"not a text":        {"[[group]]\napp = \"x\"\nname = \"y\"\npercent = 2.5\n", "want a text or a whole number", "conifer export"},
		"not TOML":          {"[[group]\n", "fleet.toml: line 2", "conifer export"},
		"table without app": {"[[group]]\nname = \"y\"\n", "[[group]] number 1 lacks its app or name", "needs them"},
		"app without id":    {"[[app]]\nname = \"y\"\n", "[[app]] number 1 lacks its id or name", "needs them"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseFleetFile("fleet.toml", c.text)
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.message) || !strings.Contains(fault.HintOf(err), c.hint) {
				t.Errorf("got %v, hint %q", err, fault.HintOf(err))
			}
		})
	}
}

// TestFleetFileComesBack writes any configuration and reads it again, with applications called by names or by ids.
func TestFleetFileComesBack(t *testing.T) {
	text := rapid.StringMatching(`[ -~☂"\\]{1,12}`)
	rapid.Check(t, func(t *rapid.T) {
		want := admin.Configuration{Apps: []store.App{}, Channels: []admin.ConfigChannel{}, Groups: []store.Group{}}
		for _, name := range rapid.SliceOfNDistinct(text, 1, 3, rapid.ID[string]).Draw(t, "apps") {
			want.Apps = append(want.Apps, store.App{ID: "id of " + name, Name: name, ProductID: rapid.SampledFrom([]string{"", "p"}).Draw(t, "product")})
		}
		app := rapid.Custom(func(t *rapid.T) string { return rapid.SampledFrom(want.Apps).Draw(t, "app").ID })
		want.Channels = append(want.Channels, rapid.SliceOfN(rapid.Custom(func(t *rapid.T) admin.ConfigChannel {
			return admin.ConfigChannel{App: app.Draw(t, "app"), Name: text.Draw(t, "name"), Releases: rapid.MapOfN(text, text, 1, 3).Draw(t, "releases")}
		}), 0, 3).Draw(t, "channels")...)
		want.Groups = append(want.Groups, rapid.SliceOfN(rapid.Custom(func(t *rapid.T) store.Group {
			return store.Group{
				App: app.Draw(t, "app"), Name: text.Draw(t, "name"), Channel: text.Draw(t, "channel"), Paused: rapid.Bool().Draw(t, "paused"),
				Percent: rapid.StringMatching(`|25|a:1:2h`).Draw(t, "percent"), MaxPerPeriod: text.Draw(t, "rate"), MaxAtOnce: rapid.IntRange(0, 9).Draw(t, "at once"),
				ErrorBudget: text.Draw(t, "budget"), Windows: rapid.SliceOfN(text, 1, 2).Draw(t, "windows"), SilentAfter: text.Draw(t, "silent"),
				Pin: text.Draw(t, "pin"), Downgrade: rapid.Bool().Draw(t, "downgrade"),
			}
		}), 0, 3).Draw(t, "groups")...)
		written, err := writeFleetFile(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := parseFleetFile("fleet.toml", string(written))
		if err != nil {
			t.Fatalf("%v in\n%s", err, written)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s in\n%s", diff, written)
		}
	})
}
