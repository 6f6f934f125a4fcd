package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"

	"github.com/envision/resiliency/pkg/authn"
	"github.com/envision/resiliency/pkg/jobstore/letters"
	shared "github.com/envision/resiliency/pkg/web"
)

// idPattern is what an id in an address may be; all else is not even asked for.
var idPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

// caller is who makes the request; Authenticate let them in.
func caller(ctx context.Context) authn.Identity {
	identity, _ := authn.FromContext(ctx)
	return identity
}

// restrict bounds a filter to tenants, and to the one that is asked for.
func restrict(f *letters.Filter, wanted string, to authn.Tenants) {
	switch {
	case wanted != "" && to.Has(wanted):
		f.Tenants = []string{wanted}
	case wanted != "":
		f.Tenants = []string{} // another's: as if there were none
	case !to.All:
		f.Tenants = slices.Clone(to.Names)
		if f.Tenants == nil {
			f.Tenants = []string{}
		}
	}
}

// letter reads a letter that the caller may see.
func (s *Site) letter(ctx context.Context, id string) (letters.Letter, error) {
	if !idPattern.MatchString(id) {
		return letters.Letter{}, errNoLetter()
	}
	l, err := s.parts.Store.Get(ctx, id)
	if err != nil {
		return letters.Letter{}, explain(err)
	}
	if !caller(ctx).Read.Has(l.Tenant) {
		return letters.Letter{}, errNoLetter()
	}
	return l, nil
}

// mayOperate refuses who may see a letter and not change it.
func mayOperate(ctx context.Context, l *letters.Letter) error {
	who := caller(ctx)
	if who.Operate.Has(l.Tenant) {
		return nil
	}
	return &shared.Error{
		Status: http.StatusForbidden, Code: "role_too_low",
		Message: fmt.Sprintf("%s may look at this letter and not change it: its tenant is not among those that they operate.", who.Who()),
		Remedy:  "Ask an operator of the tenant.",
	}
}

// operation reads an operation whose tenants are all within may.
func (s *Site) operation(ctx context.Context, id string, may authn.Tenants) (letters.Operation, error) {
	if !idPattern.MatchString(id) {
		return letters.Operation{}, errNoOperation()
	}
	o, err := s.parts.Store.GetOperation(ctx, id)
	if errors.Is(err, letters.ErrNotFound) || (err == nil && !covers(may, o.Filter.Tenants)) {
		return letters.Operation{}, errNoOperation()
	}
	return o, explain(err)
}

// covers reports whether all tenants of an operation are in the set; nil means
// that the operation is on all of them.
func covers(may authn.Tenants, tenants []string) bool {
	if may.All {
		return true
	}
	return len(tenants) > 0 && !slices.ContainsFunc(tenants, func(t string) bool { return !may.Has(t) })
}

func errNoLetter() error    { return shared.NotFound("There is no such letter.") }
func errNoOperation() error { return shared.NotFound("There is no such replay.") }

// explain gives the store's errors their answers; others stay as they are.
func explain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, letters.ErrNotFound):
		return errNoLetter()
	case errors.Is(err, letters.ErrContended):
		return &shared.Error{
			Status: http.StatusConflict, Code: "contended", Err: err,
			Message: "Somebody else was changing it at the same moment.", Remedy: "Look at it again and repeat what you did.",
		}
	case errors.Is(err, letters.ErrFilter):
		return &shared.Error{
			Status: http.StatusBadRequest, Code: "bad_filter", Err: err,
			Message: "The filter cannot be asked for.",
			Remedy:  fmt.Sprintf("Name one tenant; at most %d can be asked for at once.", letters.MaxTenants),
		}
	default:
		return err
	}
}
