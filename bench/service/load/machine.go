package load

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Target is where a service listens.
type Target struct {
	Address string // host:port
	Path    string
}

// ParseTarget reads an URL like http://127.0.0.1:8000/v1/update/. The generator speaks plain HTTP only.
func ParseTarget(text string) (Target, error) {
	u, err := url.Parse(text)
	if err != nil {
		return Target{}, err
	}
	if u.Scheme != "http" || u.Port() == "" {
		return Target{}, fmt.Errorf("%q is not like http://HOST:PORT/PATH", text)
	}
	return Target{u.Host, u.EscapedPath()}, nil
}

// Fleet is machines that differ in nothing but their ids. The same fleet is the same machines in every run.
type Fleet struct {
	App     string // as the machines write it
	Track   string
	Board   string
	Version string
	Seed    uint64
}

// Flatcar is a fleet of stock machines.
func Flatcar(track, version string) Fleet {
	return Fleet{App: "{e96281a6-d1af-4bde-9a0a-97b76e56dc57}", Track: track, Board: "amd64-usr", Version: version, Seed: 1}
}

// scramble is the finalizer of splitmix64: numbers in a row become numbers without one.
func scramble(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// MachineID of a machine, in the form of /etc/machine-id.
func (f Fleet) MachineID(number int) string {
	var id [idLength]byte
	f.writeID(id[:], number)
	return string(id[:])
}

// ByID is the numbers of the first machines in the order of their ids, in which a database takes them fastest.
func (f Fleet) ByID(machines int) []int32 {
	numbers := make([]int32, machines)
	for i := range numbers {
		numbers[i] = int32(i)
	}
	slices.SortFunc(numbers, func(a, b int32) int { return cmp.Compare(f.high(int(a)), f.high(int(b))) })
	return numbers
}

// high is the first half of an id.
func (f Fleet) high(number int) uint64 { return scramble(f.Seed<<40 + uint64(number)) }

const (
	idLength   = 32
	bootLength = 36
)

func (f Fleet) writeID(to []byte, number int) {
	high := f.high(number)
	writeHex(to[:16], high)
	writeHex(to[16:32], scramble(^high))
}

// writeBoot writes a random UUID that belongs to the machine, without its braces.
func writeBoot(to []byte, number int) {
	a := scramble(uint64(number) + 1<<63)
	b := scramble(a)
	writeHex(to[0:8], a>>32)
	writeHex(to[9:13], a>>16)
	writeHex(to[14:18], a&0xfff|0x4000)
	writeHex(to[19:23], b>>48&0x3fff|0x8000)
	writeHex(to[24:36], b)
	to[8], to[13], to[18], to[23] = '-', '-', '-', '-'
}

// writeHex fills a slice with the lowest digits of a number.
func writeHex(to []byte, x uint64) {
	const digits = "0123456789abcdef"
	for i := len(to) - 1; i >= 0; i-- {
		to[i] = digits[x&15]
		x >>= 4
	}
}

// Message is a whole HTTP request of one machine. Everything in it has one length for all machines, so that giving it to another
// machine is writing two ids. A message is used by one goroutine.
type Message struct {
	fleet    Fleet
	bytes    []byte
	boot, id int // where they begin
}

const (
	bootHere = "bootbootbootbootbootbootbootbootboot"
	idHere   = "idididididididididididididididid"
)

// body is what update_engine writes, to the byte.
const body = `<?xml version="1.0" encoding="UTF-8"?>
<request protocol="3.0" version="update_engine-0.4.10" updaterversion="update_engine-0.4.10" installsource="scheduler" ismachine="1">
    <os version="Chateau" platform="CoreOS" sp="VERSION_x86_64"></os>
    <app appid="APP" version="VERSION" track="TRACK" bootid="{` + bootHere + `}" oem="qemu" oemversion="" alephversion="VERSION" machineid="` +
	idHere + `" machinealias="" lang="en-US" board="BOARD" hardware_class="" delta_okay="false" >
INSIDE    </app>
</request>
`

const (
	ping  = "        <ping active=\"1\"></ping>\n"
	check = "        <updatecheck></updatecheck>\n"
)

// Poll asks for an update. update_engine puts a 3/2 event into every poll: with the previous version on the first one after an
// update, with none otherwise.
func (f Fleet) Poll(t Target, previous string) *Message {
	return f.Message(t, ping+check+event(`eventtype="3" eventresult="2" previousversion="`+previous+`"`))
}

// Ping says that the machine lives, while it waits for a reboot.
func (f Fleet) Ping(t Target) *Message { return f.Message(t, ping) }

// Event reports what the attributes say.
func (f Fleet) Event(t Target, attributes string) *Message { return f.Message(t, event(attributes)) }

func event(attributes string) string { return "        <event " + attributes + "></event>\n" }

// Message is a request with anything inside its application.
func (f Fleet) Message(t Target, inside string) *Message {
	text := strings.NewReplacer("VERSION", f.Version, "APP", f.App, "TRACK", f.Track, "BOARD", f.Board, "INSIDE", inside).Replace(body)
	whole := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nAccept: */*\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n%s",
		t.Path, t.Address, len(text), text)
	return &Message{f, []byte(whole), strings.Index(whole, bootHere), strings.Index(whole, idHere)}
}

// From is the request as the machine with that number sends it, valid until the next call.
func (m *Message) From(number int) []byte {
	writeBoot(m.bytes[m.boot:m.boot+bootLength], number)
	m.fleet.writeID(m.bytes[m.id:m.id+idLength], number)
	return m.bytes
}
