package authn

import "time"

// SetRecheck sets how often Check asks again.
func (a *Authenticator) SetRecheck(every time.Duration) { a.verifier.keys.again = every }
