package postgres

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/store"
)

// filled sets every field of a value, at any depth, to something of its own: a field that the encoding forgets does not come back.
func filled(v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprint("text ", *n))
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(-*n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		filled(v.Index(0), n)
		filled(v.Index(1), n)
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"amd64": fmt.Sprint(*n)}))
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(noon.Add(time.Duration(*n) * time.Millisecond)))
			return
		}
		for i := range v.NumField() {
			filled(v.Field(i), n)
		}
	default:
		panic(v.Type())
	}
}

// everything is a change of each kind that goes through the feed, filled and then empty.
func everything() []store.Change {
	var all []store.Change
	n := 0
	for _, kind := range kinds {
		full := reflect.New(kind).Elem()
		filled(full, &n)
		all = append(all, full.Interface().(store.Change), reflect.Zero(kind).Interface().(store.Change))
	}
	return all
}

func TestFeedHasEveryFieldOfEveryChange(t *testing.T) {
	all := append(everything(), store.PutMachine{Machine: machine("again")}, store.PutMachine{Machine: machine("and again")})
	entry, err := encode(all)
	try(t, err)
	got, err := decode(entry)
	try(t, err)
	if diff := cmp.Diff(all, got); diff != "" {
		t.Error(diff)
	}
}

func TestFeedHasNothingOfTheLogs(t *testing.T) {
	entry, err := encode([]store.Change{store.AddEvent{}, store.AddActivity{}, store.AddSample{}})
	if entry != nil || err != nil {
		t.Errorf("got %v, %v", entry, err)
	}
}

func TestBrokenFeedEntriesAreRefused(t *testing.T) {
	entry, err := encode(everything())
	try(t, err)
	for end := range entry {
		if _, err := decode(entry[:end]); err == nil {
			t.Fatalf("the first %d of %d bytes were taken for an entry", end, len(entry))
		}
	}
	if _, err := decode([]byte{feedFormat + 1}); !fault.Is(err, fault.Unsupported) {
		t.Errorf("got %v", err)
	}
}

// FuzzDecode asks that no bytes make the decoder panic or take more memory than it was given bytes for.
func FuzzDecode(f *testing.F) {
	e := &encoder{}
	e.machine(machine("m"))
	e.machine(machine("n"))
	try(f, e.record(store.PutToken{Token: store.Token{ID: "t"}}))
	f.Add(e.plain)
	f.Fuzz(func(t *testing.T, plain []byte) {
		changes, err := decode(packer.EncodeAll(plain, []byte{feedFormat}))
		if err != nil {
			return
		}
		again, err := encode(changes)
		try(t, err)
		if got, err := decode(again); err != nil || len(got) != len(changes) {
			t.Errorf("%v becomes %v, %v", changes, got, err)
		}
	})
}

func TestFeedHasNoGaps(t *testing.T) {
	for _, c := range []struct {
		name     string
		position int64
		numbers  []int64
		want     []int64
		conflict bool
	}{
		{"nothing yet", 0, nil, nil, false},
		{"from the start", 0, []int64{1, 2}, []int64{1, 2}, false},
		{"nothing new", 7, []int64{7}, []int64{}, false},
		{"the next", 7, []int64{7, 8, 9}, []int64{8, 9}, false},
		{"the known one was pruned", 7, []int64{8, 9}, []int64{8, 9}, false},
		{"the next was pruned", 7, []int64{9}, nil, true},
		{"the first was pruned", 0, []int64{2}, nil, true},
		{"an older database", 7, nil, nil, true},
	} {
		var entries []entry
		for _, n := range c.numbers {
			entries = append(entries, entry{number: n})
		}
		got, err := from(entries, c.position)
		if fault.Is(err, fault.Conflict) != c.conflict || (err == nil) == c.conflict {
			t.Errorf("%s: got error %v", c.name, err)
		}
		var numbers []int64
		for _, e := range got {
			numbers = append(numbers, e.number)
		}
		if fmt.Sprint(numbers) != fmt.Sprint(c.want) {
			t.Errorf("%s: got %v, want %v", c.name, numbers, c.want)
		}
	}
}
