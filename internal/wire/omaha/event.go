package omaha

import "fmt"

// EventType is what happened on the machine.
type EventType int

// The event types that update_engine sends.
const (
	DownloadComplete EventType = 1
	InstallComplete  EventType = 2
	UpdateComplete   EventType = 3
	DownloadStarted  EventType = 13
	DownloadFinished EventType = 14
)

// EventResult is how it ended.
type EventResult int

// The event results that update_engine sends, and Canceled, which only our agent does.
const (
	Failed        EventResult = 0
	Success       EventResult = 1
	SuccessReboot EventResult = 2 // the new release runs
	Canceled      EventResult = 4 // of DownloadStarted: see Event.GaveDeltaUp
	Deferred      EventResult = 9 // not taken, by the machine's own policy
)

// Event is a report. With a poll update_engine always sends 3/2: PreviousVersion is empty when nothing happened
// since the last poll, and NoPreviousVersion on a machine's first contact.
type Event struct {
	Type            EventType   `xml:"eventtype,attr"`
	Result          EventResult `xml:"eventresult,attr"`
	ErrorCode       ErrorCode   `xml:"errorcode,attr,omitempty"`
	PreviousVersion string      `xml:"previousversion,attr,omitempty"`
	NextVersion     string      `xml:"nextversion,attr,omitempty"` // of the release it is about; update_engine does not tell
	Payload         string      `xml:"payload,attr,omitempty"`     // DeltaPayload when a delta was downloaded; only our agent tells
}

// DeltaPayload is what Event.Payload says of a delta; anything else is the full payload.
const DeltaPayload = "delta"

// GaveDeltaUp reports whether the event says that a delta failed and the machine goes on with the full payload. The update has not
// failed by that; ErrorCode says why the delta did.
func (e Event) GaveDeltaUp() bool { return e.Type == DownloadStarted && e.Result == Canceled }

// NoPreviousVersion is the previous version of a machine that has never been updated.
const NoPreviousVersion = "0.0.0.0"

// ErrorCode is update_engine's reason for a failure. Its upper bits are flags about the machine, and it is
// printed as a signed number, so that a real code can arrive negative.
type ErrorCode int64

// RolledBack is the code of a machine that runs its old release again after an update.
const RolledBack ErrorCode = 44

// flagBits are the flags: bits 28 to 31 of the 32-bit number.
const flagBits = 0xf0000000

// httpBase is added to an HTTP status to make an error code of it.
const httpBase = 2000

// errorNames says what the codes mean, in the order of the numbers.
var errorNames = [...]string{
	"no error", "unspecified error", "request to the update service failed", "response of the update service could not be handled",
	"copying the file system failed", "post-install step failed", "setting the bootable flag failed", "opening the target partition failed",
	"opening the kernel target failed", "download was interrupted", "payload digest does not match", "payload size does not match",
	"payload signature is wrong", "new partition information is wrong", "writing the download failed", "new root file system does not verify",
	"new kernel does not verify", "payload is not signed", "payload's public key does not verify", "booted from the wrong firmware",
	"download state could not be set up", "payload has a wrong magic", "payload manifest has no signature", "payload manifest could not be parsed",
	"payload metadata signature failed", "payload metadata signature does not verify", "payload metadata signature does not match",
	"operation digest could not be verified", "operation could not be carried out", "operation digest does not match",
	"response of the update service was empty", "response of the update service is not XML", "payload metadata size is wrong",
	"payload metadata signature is malformed", "response of the update service is invalid", "update ignored by policy",
	"update deferred by policy", "update service answered with an HTTP error", "operation digest is missing",
	"payload metadata signature is missing", "update deferred after earlier failures", "resetting the machine failed",
	"PCR policy does not verify", "PCR policy server failed", "rolled back to the previous release",
}

// Base is the code without its flags.
func (c ErrorCode) Base() ErrorCode { return ErrorCode(uint32(c) &^ flagBits) }

// String says what the code means, with its number.
func (c ErrorCode) String() string {
	base := c.Base()
	switch {
	case int(base) < len(errorNames):
		return fmt.Sprintf("%s (code %d)", errorNames[base], base)
	case base >= httpBase && base < httpBase+1000:
		return fmt.Sprintf("update service answered with HTTP status %d (code %d)", base-httpBase, base)
	}
	return fmt.Sprintf("unknown error (code %d)", base)
}
