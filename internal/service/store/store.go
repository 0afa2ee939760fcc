// Package store is what the service remembers, as records and as changes to them.
//
// The records are in the operator's words, and their JSON is what the admin API shows. Every change of anything is one of
// the [Change] types: a database writes them ([storetest] says what it must hold), and yields them again when the
// service starts, so that the memory of the service is built by the same code that keeps it up to date. The
// package has no logic of its own and knows no database; see [conifer.dev/conifer/internal/service/store/sqlite].
package store

import (
	"time"

	"conifer.dev/conifer/internal/service/rollout"
	"conifer.dev/conifer/internal/wire/omaha"
)

// App is an application: something that has releases, and machines that run them.
type App struct {
	ID        string `json:"id"` // Omaha app id
	Name      string `json:"name"`
	ProductID string `json:"product_id,omitempty"` // another id that machines may ask by
}

// Release is one version of an application for one architecture.
type Release struct {
	App       string    `json:"app"`
	Arch      string    `json:"arch"` // Debian's name
	Version   string    `json:"version"`
	URL       string    `json:"url"`  // of the folder of the files; absolute, or relative to /v1/files/ of this service
	File      string    `json:"file"` // name of the payload in it
	SizeBytes int64     `json:"size_bytes"`
	SHA256    string    `json:"sha256"` // hex
	Extra     []File    `json:"extra,omitempty"`
	Deltas    []Delta   `json:"deltas,omitempty"` // ascending by From
	Notes     string    `json:"notes,omitempty"`
	Floor     string    `json:"floor,omitempty"`    // why it must not be skipped, "" when it may be
	DeadEnd   string    `json:"dead_end,omitempty"` // why machines that run it are not updated, "" when they are
	Added     time.Time `json:"added"`
}

// File is a further file of a release, beside the payload.
type File struct {
	Name      string `json:"name"`
	SizeBytes int64  `json:"size_bytes"`
	SHA256    string `json:"sha256"`
}

// Delta is a payload in place of the full one, beside it, for machines that run one version.
type Delta struct {
	From     string   `json:"from"`     // that version
	Features []string `json:"features"` // what a machine must know to apply it
	File
}

// Downloads count what machines of a group downloaded of a release. A download counts when a machine reports its end.
type Downloads struct {
	App     string `json:"app"`
	Group   string `json:"group"`
	Arch    string `json:"arch"`
	Version string `json:"version"`
	Traffic
}

// Traffic is finished downloads, counted.
type Traffic struct {
	Fulls        int64 `json:"fulls"` // of the full payload
	FullBytes    int64 `json:"full_bytes"`
	Deltas       int64 `json:"deltas"`
	DeltaBytes   int64 `json:"delta_bytes"`
	SavedBytes   int64 `json:"saved_bytes"`   // how much more the full payload in place of the deltas would have been
	FailedDeltas int64 `json:"failed_deltas"` // deltas that machines gave up for the full payload
}

// Channel is a name that points at a release for each architecture.
type Channel struct {
	App      string            `json:"app"`
	Name     string            `json:"name"`
	Releases map[string]string `json:"releases"` // architecture -> version
}

// Group is machines under one policy, following a channel. The parts of the policy are in the text forms that package rollout
// parses; "" is none.
type Group struct {
	App          string    `json:"app"`
	Name         string    `json:"name"`
	Channel      string    `json:"channel"`
	Paused       bool      `json:"paused"`
	PausedAt     time.Time `json:"paused_at,omitzero"`
	Percent      string    `json:"percent"`                  // "25", "100/7d" or "canary:1:24h,all:100"
	MaxPerPeriod string    `json:"max_per_period,omitempty"` // "1000/15m"
	MaxAtOnce    int       `json:"max_at_once,omitempty"`    // 0 is no limit
	ErrorBudget  string    `json:"error_budget"`             // "3" or "2%"
	Windows      []string  `json:"windows,omitempty"`        // "0 22 * * 1-5; 4h; Europe/Berlin"
	SilentAfter  string    `json:"silent_after"`             // "6h"
	Pin          string    `json:"pin,omitempty"`            // version offered instead of the channel's
	Downgrade    bool      `json:"downgrade,omitempty"`      // the pin may be older than what a machine runs
}

// Rollout is a release on its way to a group.
type Rollout struct {
	App       string    `json:"app"`
	Group     string    `json:"group"`
	Arch      string    `json:"arch"`
	Version   string    `json:"version"`
	Started   time.Time `json:"started"`
	Stopped   time.Time `json:"stopped,omitzero"` // when another took its place; zero while it is the group's own
	Reached   int       `json:"reached"`          // ten-thousandths of the machines it had come to when it was stopped
	Emergency bool      `json:"emergency,omitempty"`
}

// Pin holds one machine at one release, whatever its group follows.
type Pin struct {
	App       string    `json:"app"`
	Machine   string    `json:"machine"`
	Version   string    `json:"version"`
	Downgrade bool      `json:"downgrade,omitempty"`
	By        string    `json:"by"`
	At        time.Time `json:"at"`
}

// Machine is one machine with one application.
type Machine struct {
	App   string `json:"app"`
	ID    string `json:"id"`
	Alias string `json:"alias,omitempty"`
	Group string `json:"group"` // what it asks for; such a group need not exist
	Arch  string `json:"arch"`
	rollout.Progress
	Since     time.Time `json:"since"`             // when it came into its state
	Granted   bool      `json:"granted,omitempty"` // it holds a place under the group's limits
	Address   string    `json:"address"`
	FirstSeen time.Time `json:"first_seen"`
	LastSeen  time.Time `json:"last_seen"`
}

// Event is one thing that happened to a machine.
type Event struct {
	App      string            `json:"app"`
	Machine  string            `json:"machine"`
	At       time.Time         `json:"at"`
	Type     omaha.EventType   `json:"type"`
	Result   omaha.EventResult `json:"result"`
	Code     omaha.ErrorCode   `json:"error_code,omitempty"`
	Version  string            `json:"version"`            // that the machine ran
	Previous string            `json:"previous,omitempty"` // that it ran before
	Target   string            `json:"target,omitempty"`   // the release it is about
	State    rollout.State     `json:"state"`              // of the machine afterwards
}

// Bar says that a machine is not offered a release again by itself, because it rolled back from it or failed.
type Bar struct {
	App     string        `json:"app"`
	Machine string        `json:"machine"`
	Arch    string        `json:"arch"`
	Version string        `json:"version"` // of the release
	Group   string        `json:"group"`   // that the machine was in
	State   rollout.State `json:"state"`
	Reason  string        `json:"reason"`
	At      time.Time     `json:"at"`
}

// Halt says that nobody is offered a release.
type Halt struct {
	App     string    `json:"app"`
	Arch    string    `json:"arch"`
	Version string    `json:"version"`
	Reason  string    `json:"reason"`
	By      string    `json:"by"` // a person, or the error budget of a group
	At      time.Time `json:"at"`
}

// Activity is one thing that was done to the service's records, for the log.
type Activity struct {
	At   time.Time `json:"at"`
	Who  string    `json:"who"`
	App  string    `json:"app,omitempty"`
	Text string    `json:"text"`
}

// Token lets an operator use the admin API. Only a digest of the secret is kept.
type Token struct {
	ID      string    `json:"id"` // public part, for lists
	Name    string    `json:"name"`
	Role    string    `json:"role"` // viewer, operator or admin
	SHA256  string    `json:"-"`    // hex, of the secret
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"` // zero is never
}

// Sample is a group at one moment, for the time series. Step is how far apart such samples are kept.
type Sample struct {
	App      string         `json:"app"`
	Group    string         `json:"group"`
	At       time.Time      `json:"at"`
	Step     time.Duration  `json:"-"`
	States   map[string]int `json:"states"`   // state -> machines
	Versions map[string]int `json:"versions"` // version -> machines
}

// Limit is how many machines of a group may begin an update; 0 is no limit.
type Limit struct {
	App, Group string
	PerPeriod  int
	Period     time.Duration
	AtOnce     int
}

// Ask is a machine that wants a place under a limit, to update to a version.
type Ask struct{ Machine, Version string }

// Allowance is what is left of a limit after some asked for places.
type Allowance struct {
	Granted []bool    `json:"-"`              // for each Ask
	Begun   int       `json:"begun"`          // in the last period
	Open    int       `json:"open"`           // places held now
	Again   time.Time `json:"again,omitzero"` // when the period next frees a place, if it is used up
}

// Cutoffs say what is old enough to be forgotten: what is before them. A zero time keeps everything.
type Cutoffs struct {
	Events, Activity time.Time
	Samples          map[time.Duration]time.Time // by step
}
