package store

// Change is one change of a record: one of the types below. A Put replaces the record with the same key or makes
// it; a removal of what is not there changes nothing.
type Change interface{ isChange() }

// The changes that a database holds and yields again when it is loaded.
type (
	PutApp        struct{ App App }
	PutRelease    struct{ Release Release }
	RemoveRelease struct{ App, Arch, Version string } // with its download counts
	PutChannel    struct{ Channel Channel }
	PutGroup      struct{ Group Group }
	PutMachine    struct{ Machine Machine }
	PutBar        struct{ Bar Bar }
	RemoveBar     struct{ App, Machine, Version string }
	PutHalt       struct{ Halt Halt }
	RemoveHalt    struct{ App, Arch, Version string }
	PutRollout    struct{ Rollout Rollout }
	RemoveRollout struct{ App, Group, Arch, Version string }
	PutPin        struct{ Pin Pin }
	RemovePin     struct{ App, Machine string }
	PutToken      struct{ Token Token }
	RemoveToken   struct{ ID string }
	RemoveChannel struct{ App, Name string }
	RemoveGroup   struct{ App, Name string } // with its rollouts and download counts
	RemoveMachine struct{ App, ID string }   // with its bars, pin and place; its events stay
)

// The additions to the logs and counts, which are asked for and not loaded. AddDownloads adds to the numbers that are there.
type (
	AddDownloads struct{ Downloads Downloads }
	AddEvent     struct{ Event Event }
	AddActivity  struct{ Activity Activity }
	AddSample    struct{ Sample Sample }
)

// EndGrant gives a machine's place under a limit back, if it holds one.
type EndGrant struct{ App, Machine string }

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
func (AddDownloads) isChange()  {}
func (AddActivity) isChange()   {}
func (PutRollout) isChange()    {}
func (RemoveRollout) isChange() {}
func (PutPin) isChange()        {}
func (RemovePin) isChange()     {}
func (PutToken) isChange()      {}
func (RemoveToken) isChange()   {}
func (RemoveChannel) isChange() {}
func (RemoveGroup) isChange()   {}
func (RemoveMachine) isChange() {}
func (AddSample) isChange()     {}
func (EndGrant) isChange()      {}
