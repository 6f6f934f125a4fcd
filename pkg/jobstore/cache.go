package jobstore

import (
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// cache remembers recent records with the update time of their documents, so
// that the usual change costs one commit and a repeat costs nothing. It may be
// behind the database and never ahead: records only rise, so a claim that
// changes nothing in an old record changes nothing in the new one, and a commit
// on an old record fails its precondition.
//
// Entries are dropped when they are looked at after their time, rather than by
// the clock of an expirable LRU: that one starts a goroutine which never ends.
type cache struct {
	entries *lru.Cache[string, cached]
	ttl     time.Duration
	now     func() time.Time
}

type cached struct {
	entry   *entry
	expires time.Time
}

// newCache returns a cache of size entries that live for ttl; size 0 keeps none.
func newCache(size int, ttl time.Duration, now func() time.Time) *cache {
	c := &cache{ttl: ttl, now: now}
	if size > 0 && ttl > 0 {
		c.entries, _ = lru.New[string, cached](size) // fails only for size <= 0
	}
	return c
}

func (c *cache) get(jobID string) (*entry, bool) {
	if c.entries == nil {
		return nil, false
	}
	e, ok := c.entries.Get(jobID)
	if !ok {
		return nil, false
	}
	if !c.now().Before(e.expires) {
		c.entries.Remove(jobID)
		return nil, false
	}
	return e.entry, true
}

func (c *cache) put(jobID string, e *entry) {
	if c.entries != nil {
		c.entries.Add(jobID, cached{entry: e, expires: c.now().Add(c.ttl)})
	}
}

func (c *cache) drop(jobID string) {
	if c.entries != nil {
		c.entries.Remove(jobID)
	}
}
