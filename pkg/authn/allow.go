package authn

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// grant is what one entry of the allow-list gives.
type grant struct{ read, operate Tenants }

// allowList gives callers their rights. An address has the sum of what all its
// entries give: its own and its domain's, as viewer and as operator.
type allowList map[string]grant

// An entry names an address, or *@domain. Characters that no real entry has are
// refused, so that a wrong separator is told and not taken for a name.
var (
	addressPattern = regexp.MustCompile(`^(\*|[^\s@*=,;]+)@[a-z0-9.-]+\.[a-z0-9-]+$`)
	tenantPattern  = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)
)

// parseAllowList reads entries such as "ana@example.com=team-a,team-b" and
// "*@example.com=*". It returns everything that is wrong.
func parseAllowList(viewers, operators []string) (allowList, error) {
	list := allowList{}
	var errs []error
	for _, entry := range viewers {
		errs = append(errs, list.add("AUTH_VIEWERS (--auth-viewers)", entry, RoleViewer))
	}
	for _, entry := range operators {
		errs = append(errs, list.add("AUTH_OPERATORS (--auth-operators)", entry, RoleOperator))
	}
	return list, errors.Join(errs...)
}

func (l allowList) add(setting, entry string, role Role) error {
	address, names, found := strings.Cut(strings.TrimSpace(entry), "=")
	address = strings.ToLower(strings.TrimSpace(address))
	if !found || !addressPattern.MatchString(address) {
		return fmt.Errorf("%s: %q is not an entry such as ana@example.com=team-a,team-b or *@example.com=*", setting, entry)
	}
	tenants, err := parseTenants(names)
	if err != nil {
		return fmt.Errorf("%s: %q: %w", setting, entry, err)
	}
	has := l[address]
	has.read = has.read.union(tenants)
	if role == RoleOperator {
		has.operate = has.operate.union(tenants)
	}
	l[address] = has
	return nil
}

func parseTenants(text string) (Tenants, error) {
	if strings.TrimSpace(text) == "*" {
		return Tenants{All: true}, nil
	}
	var t Tenants
	for name := range strings.SplitSeq(text, ",") {
		name = strings.TrimSpace(name)
		if !tenantPattern.MatchString(name) {
			return Tenants{}, fmt.Errorf("%q is not a tenant's name (* alone means all tenants)", name)
		}
		t.Names = append(t.Names, name)
	}
	slices.Sort(t.Names)
	t.Names = slices.Compact(t.Names)
	return t, nil
}

// domainOf is the entry for everybody of an address's domain; empty if there is none.
func (l allowList) domainOf(email string) string {
	_, domain, _ := strings.Cut(email, "@")
	if _, ok := l["*@"+domain]; !ok {
		return ""
	}
	return "*@" + domain
}

// identify gives a caller whose address was proved their rights; those of the
// whole domain only to an account of the domain.
func (l allowList) identify(subject, email string, by vouched) Identity {
	email = strings.ToLower(email)
	has := l[email]
	if _, domain, ok := strings.Cut(email, "@"); ok && by.domain {
		of := l["*@"+domain]
		has = grant{read: has.read.union(of.read), operate: has.operate.union(of.operate)}
	}
	i := Identity{Subject: subject, Email: email, Read: has.read, Operate: has.operate}
	switch {
	case !has.operate.Empty():
		i.Role = RoleOperator
	case !has.read.Empty():
		i.Role = RoleViewer
	}
	return i
}
