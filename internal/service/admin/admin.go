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

// GroupPatch is what is to change in a group; nil leaves it as it is.
type GroupPatch struct {
	App         string  `json:"app"`
	Channel     *string `json:"channel,omitempty"`
	Paused      *bool   `json:"paused,omitempty"`
	Percent     *int    `json:"percent,omitempty"`
	ErrorBudget *int    `json:"error_budget,omitempty"`
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
}

// MachineHistory is a machine with what it reported, the newest first.
type MachineHistory struct {
	Machine store.Machine `json:"machine"`
	Barred  []store.Bar   `json:"barred"`
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
