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
	ID   string `json:"id"` // Omaha app id
	Name string `json:"name"`
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
	Notes     string    `json:"notes,omitempty"`
	Added     time.Time `json:"added"`
}

// File is a further file of a release, beside the payload.
type File struct {
	Name      string `json:"name"`
	SizeBytes int64  `json:"size_bytes"`
	SHA256    string `json:"sha256"`
}

// Channel is a name that points at a release for each architecture.
type Channel struct {
	App      string            `json:"app"`
	Name     string            `json:"name"`
	Releases map[string]string `json:"releases"` // architecture -> version
}

// Group is machines under one policy, following a channel.
type Group struct {
	App         string `json:"app"`
	Name        string `json:"name"`
	Channel     string `json:"channel"`
	Paused      bool   `json:"paused"`
	Percent     int    `json:"percent"`
	ErrorBudget int    `json:"error_budget"`
}

// Machine is one machine with one application.
type Machine struct {
	App   string `json:"app"`
	ID    string `json:"id"`
	Alias string `json:"alias,omitempty"`
	Group string `json:"group"` // what it asks for; such a group need not exist
	Arch  string `json:"arch"`
	rollout.Progress
	BootID    string    `json:"boot_id,omitempty"`
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
