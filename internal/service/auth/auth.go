// Package auth says who uses the admin API, and what that person or program may do.
//
// Start with [Tokens.Identify], which makes an [Identity] of a request's token, and [Mint], which makes a token. An identity
// travels in the context of its request ([With], [From]) and is what the activity log names. Whatever else may
// one day tell who somebody is, such as a session after a login at an identity provider, becomes an Identity likewise;
// nothing behind it asks how. The package keeps no secret: of a token's only the SHA-256 is stored, and comparisons take
// the same time whatever was given.
package auth

import (
	"context"

	"conifer.dev/conifer/internal/fault"
)

// Role is what somebody may do; each includes those before it.
type Role int

// The roles. Nobody is who has not said who it is.
const (
	Nobody   Role = iota
	Viewer        // reads everything
	Operator      // changes releases, channels, groups, rollouts and machines
	Admin         // changes applications and tokens, and removes by configuration
)

var names = [...]string{Nobody: "public", Viewer: "viewer", Operator: "operator", Admin: "admin"}

// String is the role as it is written in tokens and shown to people.
func (r Role) String() string { return names[r] }

// ParseRole reads the role of a token.
func ParseRole(text string) (Role, error) {
	for r := Viewer; r <= Admin; r++ {
		if names[r] == text {
			return r, nil
		}
	}
	return Nobody, fault.New(fault.Invalid, "%q is no role", text).WithHint("Roles are viewer, operator and admin.")
}

// Identity is who makes a request.
type Identity struct {
	Name string // as the activity log shows it
	Role Role
}

type key struct{}

// With is the context of a request that the identity makes.
func With(ctx context.Context, i Identity) context.Context { return context.WithValue(ctx, key{}, i) }

// From is the identity that makes the request of the context: nobody when none was told.
func From(ctx context.Context) Identity {
	i, _ := ctx.Value(key{}).(Identity)
	return i
}
