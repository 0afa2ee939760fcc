package postgres

import (
	"encoding/binary"
	"encoding/json"
	"reflect"

	"github.com/klauspost/compress/zstd"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/store"
)

// feedFormat is the first byte of an entry; the rest is compressed. Inside, every change is a record: of bytes that mean a machine,
// or the name of its type and its JSON. Machines have a form of their own because they are almost all that a large fleet
// writes, every poll of every machine sooner or later, and each replica reads all of them.
const feedFormat = 1

// maxEntry bounds what a replica unpacks at once.
const maxEntry = 1 << 30

var (
	packer   = must(zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20)))
	unpacker = must(zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxEntry)))
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err) // the options are constants
	}
	return value
}

// kinds are the changes that other replicas need, by the name of their type. The logs are not in anybody's memory.
var kinds = byName(
	store.PutApp{}, store.PutRelease{}, store.PutChannel{}, store.PutGroup{}, store.PutMachine{}, store.PutBar{}, store.PutHalt{},
	store.PutRollout{}, store.PutPin{}, store.PutToken{}, store.RemoveRelease{}, store.RemoveBar{}, store.RemoveHalt{}, store.RemoveRollout{},
	store.RemovePin{}, store.RemoveToken{}, store.RemoveChannel{}, store.RemoveGroup{}, store.RemoveMachine{}, store.EndGrant{},
)

func byName(changes ...store.Change) map[string]reflect.Type {
	types := map[string]reflect.Type{}
	for _, c := range changes {
		types[nameOf(c)] = reflect.TypeOf(c)
	}
	return types
}

func nameOf(c store.Change) string { return reflect.TypeOf(c).Name() }

// fullToken is a token with the digest, which the JSON of the admin API leaves out.
type fullToken struct {
	Token  store.Token
	Digest string
}

// encode is the feed's entry for changes, nil when there is nothing in them for others.
func encode(changes []store.Change) ([]byte, error) {
	e := &encoder{}
	for _, c := range changes {
		if m, ok := c.(store.PutMachine); ok {
			e.machine(m.Machine)
			continue
		}
		if _, shared := kinds[nameOf(c)]; !shared {
			continue
		}
		if err := e.record(c); err != nil {
			return nil, err
		}
	}
	if len(e.plain) == 0 {
		return nil, nil
	}
	return packer.EncodeAll(e.plain, []byte{feedFormat}), nil
}

// record appends a change by the name of its type.
func (e *encoder) record(c store.Change) error {
	var value any = c
	if t, ok := c.(store.PutToken); ok {
		value = fullToken{t.Token, t.Token.SHA256}
	}
	body, err := json.Marshal(value)
	if err != nil {
		return fault.New(fault.Internal, "encode %T: %w", c, err)
	}
	e.plain = append(e.plain, tagRecord)
	e.text(nameOf(c))
	e.plain = binary.AppendUvarint(e.plain, uint64(len(body)))
	e.plain = append(e.plain, body...)
	return nil
}

// decode is the inverse of encode.
func decode(entry []byte) ([]store.Change, error) {
	if len(entry) == 0 || entry[0] != feedFormat {
		return nil, fault.New(fault.Unsupported, "a feed entry is of an unknown format").WithHint("Another replica runs another version: give all the same.")
	}
	plain, err := unpacker.DecodeAll(entry[1:], nil)
	if err != nil {
		return nil, fault.New(fault.Corrupt, "unpack feed entry: %w", err)
	}
	d := &decoder{rest: plain}
	var changes []store.Change
	for len(d.rest) > 0 && d.err == nil {
		changes = append(changes, d.change())
	}
	if len(changes) == 0 {
		d.fail()
	}
	return changes, d.err
}

func (d *decoder) change() store.Change {
	if d.byte() == tagMachine {
		return store.PutMachine{Machine: d.machine()}
	}
	name := d.text()
	body := d.bytes(d.length())
	kind, known := kinds[name]
	if !known || d.err != nil {
		d.fail()
		return nil
	}
	if kind == reflect.TypeFor[store.PutToken]() {
		var t fullToken
		d.json(body, &t)
		t.Token.SHA256 = t.Digest
		return store.PutToken{Token: t.Token}
	}
	value := reflect.New(kind)
	d.json(body, value.Interface())
	return value.Elem().Interface().(store.Change)
}
