package phases

import (
	"fmt"
	"strings"
	"time"
)

// DefaultTTL is how long phases are kept unless somebody says otherwise.
const DefaultTTL = 30 * 24 * time.Hour

// Bounds of how long phases may be kept.
const (
	MinTTL = time.Hour
	MaxTTL = 10 * 365 * 24 * time.Hour
)

// TTLs say how long the phases of a tenant are kept.
type TTLs struct {
	Default time.Duration
	// Tenants are those that want another time.
	Tenants map[string]time.Duration
}

// Of is how long the phases of a tenant are kept; "" is a tenant that is not
// known.
func (t TTLs) Of(tenant string) time.Duration {
	if ttl, ok := t.Tenants[tenant]; ok {
		return ttl
	}
	return t.Default
}

// ParseTTLs reads tenant=duration entries such as "video=2160h". The error names
// every entry that is none.
func ParseTTLs(standard time.Duration, entries []string) (TTLs, error) {
	t := TTLs{Default: standard, Tenants: make(map[string]time.Duration, len(entries))}
	var wrong []string
	if standard < MinTTL || standard > MaxTTL {
		wrong = append(wrong, fmt.Sprintf("%s is not from %s to %s", standard, MinTTL, MaxTTL))
	}
	for _, entry := range entries {
		tenant, text, ok := strings.Cut(entry, "=")
		ttl, err := time.ParseDuration(text)
		switch _, twice := t.Tenants[tenant]; {
		case !ok || tenant == "" || err != nil:
			wrong = append(wrong, fmt.Sprintf("%q is not tenant=duration", entry))
		case ttl < MinTTL || ttl > MaxTTL:
			wrong = append(wrong, fmt.Sprintf("%q is not from %s to %s", entry, MinTTL, MaxTTL))
		case twice:
			wrong = append(wrong, fmt.Sprintf("tenant %q is given twice", tenant))
		default:
			t.Tenants[tenant] = ttl
		}
	}
	if len(wrong) > 0 {
		return t, fmt.Errorf("how long phases are kept: %s", strings.Join(wrong, "; "))
	}
	return t, nil
}
