package fleet

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"strings"
	"time"

	"conifer.dev/conifer/internal/service/rollout"
	"conifer.dev/conifer/internal/service/store"
	"conifer.dev/conifer/internal/wire/omaha"
)

// record is one machine with one application: 72 bytes without pointers, so that ten million of them fit in memory and the
// garbage collector passes them by. Times are seconds since 1970.
type record struct {
	id        [16]byte
	address   [16]byte
	firstSeen uint32
	lastSeen  uint32
	savedSeen uint32 // lastSeen as the store has it
	since     uint32 // when it came into its state
	code      int32
	version   symbol
	target    symbol
	group     symbol
	arch      symbol
	app       uint16
	state     stateNumber
	flags     flags
}

// flags of a record.
type flags uint8

const (
	used    flags = 1 << iota // the record is a machine
	dirty                     // it is in the list of records to be written
	granted                   // it holds a place under its group's limits
	barred                    // it is not offered some release again
	aliased                   // it has an alias
	pinned                    // it has a pin
	hyphens                   // its id is a UUID
	spelled                   // its id is of another form, and id a digest of it
)

// stateNumber is the index of a state in rollout.States.
type stateNumber uint8

var stateNumbers = func() map[rollout.State]stateNumber {
	numbers := map[rollout.State]stateNumber{}
	for i, s := range rollout.States {
		numbers[s] = stateNumber(i)
	}
	return numbers
}()

func (n stateNumber) state() rollout.State { return rollout.States[n] }

// key finds a machine: its id, the application, and the form of the id.
type key [20]byte

// idForms are the flags that belong to a key.
const idForms = hyphens | spelled

func keyOf(app uint16, id string) key {
	var k key
	form := packID(k[:16], id)
	k[16], k[17], k[18] = byte(app), byte(app>>8), byte(form)
	return k
}

// packID writes the 16 bytes of an id: of the machine id of systemd (32 hex digits), of a UUID, or a digest of anything else.
func packID(to []byte, id string) flags {
	switch {
	case len(id) == 32 && unhex(to, id):
		return 0
	case len(id) == 36 && id[8] == '-' && id[13] == '-' && id[18] == '-' && id[23] == '-' &&
		unhex(to, id[:8]) && unhex(to[4:], id[9:13]) && unhex(to[6:], id[14:18]) && unhex(to[8:], id[19:23]) && unhex(to[10:], id[24:]):
		return hyphens
	}
	sum := sha256.Sum256([]byte(id))
	copy(to, sum[:16])
	return spelled
}

// unhex decodes lower-case hex digits, and reports whether there is nothing else.
func unhex(to []byte, digits string) bool {
	for i := 0; i < len(digits); i += 2 {
		high, low := hexDigit(digits[i]), hexDigit(digits[i+1])
		if high > 15 || low > 15 {
			return false
		}
		to[i/2] = high<<4 | low
	}
	return true
}

func hexDigit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 255
}

// slabSize is how many records are allocated together: what exists is never copied when the fleet grows.
const slabSize = 1 << 13

// table is all machines of all applications.
type table struct {
	index   map[key]uint32
	slabs   [][]record
	free    []uint32 // places of machines that were forgotten
	length  uint32   // places that were ever used
	spelled map[uint32]string
	aliases map[uint32]string
	bars    map[uint32][]store.Bar
	pins    map[uint32]store.Pin
}

func newTable() table {
	return table{
		index: map[key]uint32{}, spelled: map[uint32]string{}, aliases: map[uint32]string{},
		bars: map[uint32][]store.Bar{}, pins: map[uint32]store.Pin{},
	}
}

func (t *table) at(i uint32) *record { return &t.slabs[i/slabSize][i%slabSize] }

func (t *table) find(app uint16, id string) (uint32, bool) {
	i, ok := t.index[keyOf(app, id)]
	return i, ok
}

// add makes a record for an id that has none.
func (t *table) add(app uint16, id string) uint32 {
	k := keyOf(app, id)
	var i uint32
	if n := len(t.free); n > 0 {
		i, t.free = t.free[n-1], t.free[:n-1]
	} else {
		i = t.length
		t.length++
		if int(i/slabSize) == len(t.slabs) {
			t.slabs = append(t.slabs, make([]record, slabSize))
		}
	}
	r := t.at(i)
	*r = record{app: app, flags: used | flags(k[18])}
	copy(r.id[:], k[:16])
	if r.flags&spelled != 0 {
		t.spelled[i] = strings.Clone(id)
	}
	t.index[k] = i
	return i
}

// remove forgets a machine. Its place is used again only after the list of records to be written was taken, because
// that list knows machines by their place.
func (t *table) remove(i uint32) {
	r := t.at(i)
	delete(t.index, keyOf(r.app, t.id(i)))
	delete(t.spelled, i)
	delete(t.aliases, i)
	delete(t.bars, i)
	delete(t.pins, i)
	*r = record{flags: r.flags & dirty}
	t.free = append(t.free, i)
}

func (t *table) id(i uint32) string {
	r := t.at(i)
	switch r.flags & idForms {
	case spelled:
		return t.spelled[i]
	case hyphens:
		var text [36]byte
		hex.Encode(text[:8], r.id[:4])
		hex.Encode(text[9:13], r.id[4:6])
		hex.Encode(text[14:18], r.id[6:8])
		hex.Encode(text[19:23], r.id[8:10])
		hex.Encode(text[24:], r.id[10:])
		text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
		return string(text[:])
	}
	var text [32]byte
	hex.Encode(text[:], r.id[:])
	return string(text[:])
}

func (t *table) setAlias(i uint32, alias string) (changed bool) {
	r := t.at(i)
	if r.flags&aliased == 0 && alias == "" || r.flags&aliased != 0 && t.aliases[i] == alias {
		return false
	}
	if alias == "" {
		delete(t.aliases, i)
		r.flags &^= aliased
		return true
	}
	t.aliases[i] = strings.Clone(alias)
	r.flags |= aliased
	return true
}

func (r *record) set(f flags, on bool) {
	r.flags &^= f
	if on {
		r.flags |= f
	}
}

// progress is what package rollout works with.
func (m *memory) progress(r *record) rollout.Progress {
	return rollout.Progress{
		State: r.state.state(), Version: m.names.text(r.version), Target: m.names.text(r.target), Code: omaha.ErrorCode(r.code),
	}
}

// export is the whole machine as the store and the operator see it.
func (m *memory) export(i uint32) store.Machine {
	r := m.machines.at(i)
	out := store.Machine{
		App: m.appAt(r.app).ID, ID: m.machines.id(i), Group: m.names.text(r.group), Arch: m.names.text(r.arch),
		Progress: m.progress(r), Since: seconds(r.since), Granted: r.flags&granted != 0,
		FirstSeen: seconds(r.firstSeen), LastSeen: seconds(r.lastSeen),
	}
	if r.flags&aliased != 0 {
		out.Alias = m.machines.aliases[i]
	}
	if address := netip.AddrFrom16(r.address).Unmap(); !address.IsUnspecified() {
		out.Address = address.String()
	}
	return out
}

// put takes a machine from the store, or from another replica. One whose texts do not fit is left out.
func (m *memory) put(app *app, in store.Machine) {
	version, ok1 := m.names.number(in.Version)
	target, ok2 := m.names.number(in.Target)
	group, ok3 := m.names.number(in.Group)
	arch, ok4 := m.names.number(in.Arch)
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return
	}
	i, known := m.machines.find(app.number, in.ID)
	if !known {
		i = m.machines.add(app.number, in.ID)
	} else {
		m.uncount(m.machines.at(i))
	}
	m.machines.setAlias(i, in.Alias)
	r := m.machines.at(i)
	r.version, r.target, r.group, r.arch = version, target, group, arch
	r.state, r.code, r.since = stateNumbers[in.State], int32(in.Code), unix(in.Since)
	r.set(granted, in.Granted)
	address, _ := netip.ParseAddr(in.Address) // what the store has was an address, or nothing
	r.address = packAddress(address)
	r.firstSeen, r.lastSeen = unix(in.FirstSeen), max(r.lastSeen, unix(in.LastSeen))
	r.savedSeen = r.lastSeen
	m.count(r)
}

func packAddress(a netip.Addr) [16]byte {
	if !a.IsValid() {
		return [16]byte{}
	}
	return a.As16()
}

func seconds(unix uint32) time.Time {
	if unix == 0 {
		return time.Time{}
	}
	return time.Unix(int64(unix), 0).UTC()
}

func unix(t time.Time) uint32 {
	if t.IsZero() {
		return 0
	}
	return uint32(t.Unix())
}
