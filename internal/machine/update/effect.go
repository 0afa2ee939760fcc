package update

// Effect is something for the loop to do. Those of one step are carried out in their order. Save, when there
// is one, comes first, and nothing after it may begin before the state is durable; Mark comes before Reboot.
// The others run on their own and answer with an event.
type Effect interface{ effect() }

// The effects. Each may be carried out again after a restart.
type (
	// Save makes the state durable.
	Save struct{}
	// Mark makes the trial marker, which names the version, or removes it for an empty one; durably.
	Mark struct{ Version string }
	// Check asks the service for an offer. Deltas says that the machine would take one by a delta.
	Check struct{ Manual, Deltas bool }
	// Verify fetches the signed metadata for an offer and checks it.
	Verify struct {
		Offer  Offer
		Newest string
	}
	// Install writes the target into the other slot, from its delta if there is one, and makes its boot entry.
	Install struct{ Target Target }
	// Retire removes the boot entry of the other slot.
	Retire struct{}
	// AskLock asks the cluster for the reboot lock.
	AskLock struct{}
	// ReleaseLock gives it back.
	ReleaseLock struct{}
	// TakeBaseline lists the units that have failed.
	TakeBaseline struct{}
	// Reboot asks the system manager for an orderly reboot. Once, when it is set, is an older release that the boot loader
	// must be told to start before: it would prefer the running one.
	Reboot struct{ Once string }
	// Judge watches the health of the running release until there is a verdict.
	Judge struct{ Baseline []string }
	// Commit makes the entry of the running release the one that boots for good.
	Commit struct{ Version string }
	// Remove removes the entry of the running release.
	Remove struct{ Version string }
	// Send sends reports to the service.
	Send struct{ Reports []Report }
)

func (Save) effect()         {}
func (Mark) effect()         {}
func (Check) effect()        {}
func (Verify) effect()       {}
func (Install) effect()      {}
func (Retire) effect()       {}
func (AskLock) effect()      {}
func (ReleaseLock) effect()  {}
func (TakeBaseline) effect() {}
func (Reboot) effect()       {}
func (Judge) effect()        {}
func (Commit) effect()       {}
func (Remove) effect()       {}
func (Send) effect()         {}
