package web

import (
	"context"
	"slices"

	"github.com/envision/resiliency/pkg/authn"
	shared "github.com/envision/resiliency/pkg/web"
)

// caller is who looks; the authentication let them in.
func caller(ctx context.Context) authn.Identity {
	identity, _ := authn.FromContext(ctx)
	return identity
}

// tenants bounds a search to what the caller may see, and to the one tenant that
// is asked for. nil means all.
func tenants(may authn.Tenants, wanted string) []string {
	switch {
	case wanted != "" && may.Has(wanted):
		return []string{wanted}
	case wanted != "":
		return []string{} // another's: as if there were none
	case may.All:
		return nil
	default:
		return append([]string{}, slices.Clone(may.Names)...)
	}
}

func errNoJob() error { return shared.NotFound("Nothing is on record about such a job.") }
