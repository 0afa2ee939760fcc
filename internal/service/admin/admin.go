// Package admin is what the operator and the service say to each other: the JSON of the admin API, beside the records of
// package store that it shows as they are.
//
// The service's package api answers with these types, and package client gives them to the commands. There is no code
// in it.
package admin

import (
	"conifer.dev/conifer/internal/service/rollout"
	"conifer.dev/conifer/internal/service/store"
)

// ReleaseStatus is a release with what became of it.
type ReleaseStatus struct {
	store.Release
	Channels   []string    `json:"channels"` // that point at it
	Halted     bool        `json:"halted"`
	HaltReason string      `json:"halt_reason,omitempty"`
	Halt       *store.Halt `json:"halt,omitempty"`
	Barred     []store.Bar `json:"barred,omitempty"` // machines that rolled back from it or failed
}

// ReleasePatch is what is to change in a release; its files never do, but deltas may come and go. nil leaves as it is, "" takes away.
type ReleasePatch struct {
	Notes   *string `json:"notes,omitempty"`
	Floor   *string `json:"floor,omitempty"`
	DeadEnd *string `json:"dead_end,omitempty"`

	DropDeltas []string      `json:"drop_deltas,omitempty"` // those from these versions are not offered any more
	AddDeltas  []store.Delta `json:"add_deltas,omitempty"`
}

// GroupPatch is what is to change in a group; nil leaves it as it is. The texts are those of store.Group.
type GroupPatch struct {
	App          string    `json:"app"`
	Channel      *string   `json:"channel,omitempty"`
	Paused       *bool     `json:"paused,omitempty"`
	Percent      *string   `json:"percent,omitempty"`
	MaxPerPeriod *string   `json:"max_per_period,omitempty"`
	MaxAtOnce    *int      `json:"max_at_once,omitempty"`
	ErrorBudget  *string   `json:"error_budget,omitempty"`
	Windows      *[]string `json:"windows,omitempty"`
	SilentAfter  *string   `json:"silent_after,omitempty"`
	Pin          *string   `json:"pin,omitempty"`
	Downgrade    *bool     `json:"downgrade,omitempty"`
}

// RolloutStatus is a rollout with how far it is.
type RolloutStatus struct {
	store.Rollout
	ReachedPercent float64        `json:"reached_percent"`     // of the machines it has come to now
	Machines       int            `json:"machines"`            // of the group, on any version
	Running        int            `json:"running"`             // that run the release
	States         map[string]int `json:"states"`              // of the machines whose update is about it: state -> machines
	Failures       int            `json:"failures"`            // rolled back, failed, never came back
	Downloads      *store.Traffic `json:"downloads,omitempty"` // missing when the database does not answer
	Halt           *store.Halt    `json:"halt,omitempty"`
}

// GroupStatus is a group with its machines counted.
type GroupStatus struct {
	store.Group
	Machines  int             `json:"machines"`
	Versions  map[string]int  `json:"versions"` // that run -> machines
	States    map[string]int  `json:"states"`   // state -> machines
	Failures  []Failure       `json:"failures"`
	Rollouts  []RolloutStatus `json:"rollouts"` // the newest first
	Allowance store.Allowance `json:"allowance"`
	Downloads *store.Traffic  `json:"downloads,omitempty"` // of all releases; missing when the database does not answer
}

// Failure counts machines of a group that ended badly on a release, by why.
type Failure struct {
	Version  string `json:"version"`
	Arch     string `json:"arch"`
	State    string `json:"state"`
	Reason   string `json:"reason"` // decoded error code
	Machines int    `json:"machines"`
}

// Emergency is what a speed-up sets.
type Emergency struct {
	On bool `json:"on"`
}

// Pin asks that a machine stays at a release.
type Pin struct {
	Version   string `json:"version"`
	Downgrade bool   `json:"downgrade,omitempty"`
}

// TokenRequest asks for a token.
type TokenRequest struct {
	Name          string `json:"name"`
	Role          string `json:"role"`
	ExpiresInDays int    `json:"expires_in_days,omitempty"` // 0 is never
}

// NewToken is a token with its secret, which is shown once.
type NewToken struct {
	store.Token
	Secret string `json:"secret"`
}

// Configuration is everything that an operator decides and releases do not: what `conifer export` writes and `conifer apply` reads.
type Configuration struct {
	Apps     []store.App     `json:"apps"`
	Channels []ConfigChannel `json:"channels"`
	Groups   []store.Group   `json:"groups"`
}

// ConfigChannel is a channel with where it points; architectures that are not named stay as they are.
type ConfigChannel struct {
	App      string            `json:"app"`
	Name     string            `json:"name"`
	Releases map[string]string `json:"releases,omitempty"`
}

// Apply asks for a configuration to be applied, in one transaction. What it does not name is left alone, or with Prune
// removed where nothing uses it.
type Apply struct {
	Configuration
	DryRun bool `json:"dry_run,omitempty"`
	Prune  bool `json:"prune,omitempty"`
}

// Applied is what an Apply did, or with DryRun would do, in words and in order.
type Applied struct {
	Steps []string `json:"steps"`
}

// ChannelTarget is where a channel is to point, for one architecture.
type ChannelTarget struct {
	App     string `json:"app"`
	Arch    string `json:"arch"`
	Release string `json:"release"` // version
}

// Halt asks for a halt of a release.
type Halt struct {
	Reason string `json:"reason"`
}

// Retry asks that a machine may try again; an empty release means all that it failed on.
type Retry struct {
	Release string `json:"release,omitempty"`
}

// Explanation is what a machine would be answered now, with every rule that led there.
type Explanation struct {
	Machine  store.Machine    `json:"machine"`
	Decision rollout.Decision `json:"decision"`
	Barred   []store.Bar      `json:"barred"` // releases that it is not offered again by itself
	Pin      *store.Pin       `json:"pin,omitempty"`
}

// MachineHistory is a machine with what it reported, the newest first.
type MachineHistory struct {
	Machine store.Machine `json:"machine"`
	Barred  []store.Bar   `json:"barred"`
	Pin     *store.Pin    `json:"pin,omitempty"`
	Events  []store.Event `json:"events"`
}

// Use is what one address was sent of one file since the service started.
type Use struct {
	Path     string `json:"path"` // below /v1/files/
	Address  string `json:"address"`
	Requests int64  `json:"requests"`
	Bytes    int64  `json:"bytes"`
}

// Error is what every answer with an error status holds.
type Error struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}
