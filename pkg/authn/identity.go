package authn

import (
	"context"
	"slices"
	"strings"
)

// Role is what a caller may do at most. A higher role includes the lower ones.
type Role int

const (
	// RoleNone may do nothing.
	RoleNone Role = iota
	// RoleViewer may read.
	RoleViewer
	// RoleOperator may read and change.
	RoleOperator
)

// String is the role's name in sentences, logs and metrics.
func (r Role) String() string {
	switch r {
	case RoleViewer:
		return "viewer"
	case RoleOperator:
		return "operator"
	default:
		return "none"
	}
}

// Tenants is a set of tenants. The zero value is empty.
type Tenants struct {
	// All is set for whom every tenant is open, and what belongs to none.
	All bool
	// Names are the tenants, sorted; empty when All is set.
	Names []string
}

// Has reports whether tenant is in the set. What belongs to no tenant ("") is
// only in the set of all.
func (t Tenants) Has(tenant string) bool {
	return t.All || (tenant != "" && slices.Contains(t.Names, tenant))
}

// Empty reports whether no tenant is in the set.
func (t Tenants) Empty() bool { return !t.All && len(t.Names) == 0 }

// String is for sentences and logs: "all tenants", or the names.
func (t Tenants) String() string {
	if t.All {
		return "all tenants"
	}
	return strings.Join(t.Names, ", ")
}

func (t Tenants) union(o Tenants) Tenants {
	if t.All || o.All {
		return Tenants{All: true}
	}
	names := slices.Concat(t.Names, o.Names)
	slices.Sort(names)
	return Tenants{Names: slices.Compact(names)}
}

// Identity is a caller who was let in.
type Identity struct {
	// Subject is the issuer's own, stable name of the caller; "local" in mode none.
	Subject string
	// Email is in lower case; empty in mode none.
	Email string
	// Role is the highest that the caller has for any tenant.
	Role Role
	// Read are the tenants whose things the caller may see.
	Read Tenants
	// Operate are the tenants whose things the caller may change, a part of Read.
	Operate Tenants
}

// Who is the caller's name for an audit record: the address, else the subject.
func (i Identity) Who() string {
	if i.Email != "" {
		return i.Email
	}
	return i.Subject
}

type contextKey struct{}

// NewContext returns ctx with the caller in it, for handlers and their tests.
func NewContext(ctx context.Context, i Identity) context.Context {
	return context.WithValue(ctx, contextKey{}, i)
}

// FromContext returns the caller that Authenticate let in. Without one the
// identity is empty and may do nothing.
func FromContext(ctx context.Context) (Identity, bool) {
	i, ok := ctx.Value(contextKey{}).(Identity)
	return i, ok
}
