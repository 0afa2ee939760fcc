package store

// Change is one change of a record: one of the types below. A Put replaces the record with the same key or makes
// it; a removal of what is not there changes nothing.
type Change interface{ isChange() }

// The changes that a database holds and yields again when it is loaded.
type (
	PutApp        struct{ App App }
	PutRelease    struct{ Release Release }
	RemoveRelease struct{ App, Arch, Version string }
	PutChannel    struct{ Channel Channel }
	PutGroup      struct{ Group Group }
	PutMachine    struct{ Machine Machine }
	PutBar        struct{ Bar Bar }
	RemoveBar     struct{ App, Machine, Version string }
	PutHalt       struct{ Halt Halt }
	RemoveHalt    struct{ App, Arch, Version string }
)

// The additions to the logs, which are asked for and not loaded.
type (
	AddEvent    struct{ Event Event }
	AddActivity struct{ Activity Activity }
)

func (PutApp) isChange()        {}
func (PutRelease) isChange()    {}
func (RemoveRelease) isChange() {}
func (PutChannel) isChange()    {}
func (PutGroup) isChange()      {}
func (PutMachine) isChange()    {}
func (PutBar) isChange()        {}
func (RemoveBar) isChange()     {}
func (PutHalt) isChange()       {}
func (RemoveHalt) isChange()    {}
func (AddEvent) isChange()      {}
func (AddActivity) isChange()   {}
