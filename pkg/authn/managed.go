package authn

import (
	"slices"
	"strings"
)

// vouched is for how much of a caller's address the issuer stands good.
type vouched struct {
	// address says that the account belongs to whoever the address belongs to
	// now, domain that it is one of the domain's own.
	address, domain bool
}

// vouches judges an address. Google verifies the address of a personal account
// once, when it is made: who has left the domain since still has the account. Only
// accounts with a hosted domain (claim hd), mailboxes of its own and service
// accounts are Google's to vouch for; see
// developers.google.com/identity/gsi/web/guides/verify-google-id-token. The hosted
// domain of an address in a second domain of an organisation may be the first.
//
// IAP's tokens are the proxy's word on whom its own policy let in, and another
// issuer answers for its own addresses.
func (v *verifier) vouches(c *claims) vouched {
	if v.issuer != googleIssuer {
		return vouched{address: true, domain: true}
	}
	_, domain, _ := strings.Cut(strings.ToLower(c.Email), "@")
	if slices.Contains([]string{"gmail.com", "googlemail.com"}, domain) || strings.HasSuffix(domain, ".gserviceaccount.com") {
		return vouched{address: true, domain: true}
	}
	return vouched{address: c.HostedDomain != "", domain: strings.EqualFold(c.HostedDomain, domain)}
}
