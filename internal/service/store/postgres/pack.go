package postgres

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"time"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/rollout"
	"conifer.dev/conifer/internal/service/store"
	"conifer.dev/conifer/internal/wire/omaha"
)

// What the records of a feed entry begin with.
const (
	tagRecord = iota
	tagMachine
)

// encoder writes the records of a feed entry. A word that was written before is only its number, and a time is its distance from
// the one before: most machines of a batch differ in little but their ids.
type encoder struct {
	plain []byte
	words map[string]uint64
	last  int64 // time that was written last
}

func (e *encoder) machine(m store.Machine) {
	e.plain = append(e.plain, tagMachine, 0)
	if m.Granted {
		e.plain[len(e.plain)-1] = 1
	}
	for _, word := range []string{m.App, m.Group, m.Arch, string(m.State), m.Version, m.Target} {
		e.word(word)
	}
	for _, s := range []string{m.ID, m.Alias, m.Address} {
		e.text(s)
	}
	e.plain = binary.AppendVarint(e.plain, int64(m.Code))
	for _, t := range []time.Time{m.LastSeen, m.Since, m.FirstSeen} {
		e.time(t)
	}
}

// word writes 0 and the word when it is new, otherwise its number from 1.
func (e *encoder) word(s string) {
	if n, known := e.words[s]; known {
		e.plain = binary.AppendUvarint(e.plain, n)
		return
	}
	if e.words == nil {
		e.words = map[string]uint64{}
	}
	e.words[s] = uint64(len(e.words) + 1)
	e.plain = append(e.plain, 0)
	e.text(s)
}

func (e *encoder) text(s string) {
	e.plain = binary.AppendUvarint(e.plain, uint64(len(s)))
	e.plain = append(e.plain, s...)
}

func (e *encoder) time(t time.Time) {
	ms := millis(t)
	e.plain = binary.AppendVarint(e.plain, ms-e.last)
	e.last = ms
}

// decoder reads what an encoder wrote. After an error everything reads as zero.
type decoder struct {
	rest  []byte
	words []string
	last  int64
	err   error
}

func (d *decoder) machine() store.Machine {
	granted := d.byte() == 1
	app, group, arch, state, version, target := d.word(), d.word(), d.word(), d.word(), d.word(), d.word()
	id, alias, address, code := d.text(), d.text(), d.text(), d.varint()
	seen, since, first := d.time(), d.time(), d.time()
	return store.Machine{
		App: app, ID: id, Alias: alias, Group: group, Arch: arch,
		Progress: rollout.Progress{State: rollout.State(state), Version: version, Target: target, Code: omaha.ErrorCode(code)},
		Since:    since, Granted: granted, Address: address, FirstSeen: first, LastSeen: seen,
	}
}

func (d *decoder) fail() {
	if d.err == nil {
		d.err = fault.New(fault.Corrupt, "a feed entry breaks off or has an unknown record")
	}
	d.rest = nil
}

func (d *decoder) bytes(n uint64) []byte {
	if n > uint64(len(d.rest)) {
		d.fail()
		return nil
	}
	taken := d.rest[:n]
	d.rest = d.rest[n:]
	return taken
}

func (d *decoder) byte() byte {
	if b := d.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

// length reads an unsigned number.
func (d *decoder) length() uint64 {
	n, size := binary.Uvarint(d.rest)
	if size <= 0 {
		d.fail()
		return math.MaxUint64
	}
	d.rest = d.rest[size:]
	return n
}

func (d *decoder) varint() int64 {
	n, size := binary.Varint(d.rest)
	if size <= 0 {
		d.fail()
		return 0
	}
	d.rest = d.rest[size:]
	return n
}

func (d *decoder) text() string { return string(d.bytes(d.length())) }

func (d *decoder) word() string {
	n := d.length()
	if n == 0 {
		d.words = append(d.words, d.text())
		return d.words[len(d.words)-1]
	}
	if n > uint64(len(d.words)) {
		d.fail()
		return ""
	}
	return d.words[n-1]
}

func (d *decoder) time() time.Time {
	d.last += d.varint()
	return fromMillis(d.last)
}

func (d *decoder) json(body []byte, into any) {
	if err := json.Unmarshal(body, into); err != nil && d.err == nil {
		d.err = fault.New(fault.Corrupt, "read feed entry: %w", err)
	}
}
