package update

import (
	"time"

	"conifer.dev/conifer/internal/fault"
)

// Event is something that the machine noticed, or the answer to an effect.
type Event interface{ apply(*turn) }

// Fault is an error as an event carries it.
type Fault struct {
	Kind fault.Kind
	Why  string
}

// FaultOf makes a Fault from an error.
func FaultOf(err error) Fault { return Fault{Kind: fault.KindOf(err), Why: err.Error()} }

// Entry is what the file name of a boot entry says (Automatic Boot Assessment).
type Entry struct {
	Counted bool // it still has its counter: the release is on trial
	Left    int  // tries left
	Done    int  // tries done
}

// exhausted reports whether the boot loader has given the entry up.
func (e Entry) exhausted() bool { return e.Counted && e.Left == 0 }

// tried reports whether the boot loader has started the entry at least once.
func (e Entry) tried() bool { return e.Counted && (e.Left == 0 || e.Done > 0) }

// Offer is what the service answered; the machine trusts none of it.
type Offer struct {
	Version   string
	Codebases []string // URLs of folders that hold the release
	Payload   string   // the name of the file that is offered; "" for the full payload
}

// The events.
type (
	// Started is the first event of a process.
	Started struct {
		BootID  string
		Running Release
		Entries map[string]Entry // boot entries by version
	}
	// Tick says that time has passed; see State.Wake.
	Tick struct{}
	// CheckNow is a person's wish for a check.
	CheckNow struct{}
	// RetryRelease allows a failed release once more.
	RetryRelease struct{ Version string }

	// CheckAnswered is the answer to Check; no offer means that the machine is where it should be.
	CheckAnswered struct {
		Offer     *Offer
		PollAfter time.Duration // when the service wants to be asked again; 0 leaves it to the machine
	}
	// CheckFailed means that the service could not be asked.
	CheckFailed struct{ Fault }
	// Verified answers Verify: the signatures hold, and this is what they say. Unsteerable is why the boot loader cannot be
	// told to start an older release, or empty.
	Verified struct {
		Target           Target
		DowngradeAllowed bool
		Unsteerable      string
	}
	// Refused answers Verify: the offer is not to be trusted, or could not be fetched.
	Refused struct {
		Version string
		Fault
	}

	// InstallDone answers Install.
	InstallDone struct{}
	// InstallFailed answers Install; what was written stays for the next attempt. Delta says that it was from a delta.
	InstallFailed struct {
		Fault
		Delta bool
	}
	// RetireDone answers Retire.
	RetireDone struct{}
	// RetireFailed answers Retire.
	RetireFailed struct{ Fault }

	// LockGranted answers AskLock.
	LockGranted struct{}
	// LockDenied answers AskLock: somebody else holds it.
	LockDenied struct{ Why string }
	// LockReleased answers ReleaseLock.
	LockReleased struct{}
	// LockUnreachable answers AskLock and ReleaseLock: nobody knows.
	LockUnreachable struct{ Fault }

	// BaselineTaken answers TakeBaseline with the units that have failed.
	BaselineTaken struct{ Units []string }
	// RebootFailed answers Reboot; when it succeeds, nobody is left to answer.
	RebootFailed struct{ Fault }
	// SteerFailed answers Reboot: the boot loader could not be told what to start, and no reboot was asked for.
	SteerFailed struct{ Fault }

	// Healthy answers Judge.
	Healthy struct{}
	// Failing answers Judge: the verdict is final.
	Failing struct{ Why string }
	// Pending is heard from Judge while there is no verdict yet.
	Pending struct{ Why string }
	// CommitDone answers Commit.
	CommitDone struct{}
	// CommitFailed answers Commit; kind NotFound means that there is no entry to commit.
	CommitFailed struct{ Fault }
	// EntryRemoved answers Remove.
	EntryRemoved struct{}
	// RemoveFailed answers Remove; kind Conflict means that nothing else could boot.
	RemoveFailed struct{ Fault }

	// ReportSent answers Send.
	ReportSent struct{ Through int64 }
	// ReportFailed answers Send.
	ReportFailed struct{ Fault }
)
