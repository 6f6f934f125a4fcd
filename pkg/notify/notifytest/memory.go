// Package notifytest stands in for the store and the sink of pkg/notify in
// tests: a store in memory that is as strict as Firestore about conflicts, and a
// sink that fails on demand. It never leaves the process.
package notifytest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/envision/resiliency/pkg/notify"
)

// Store keeps notices in memory. The zero value is ready.
type Store struct {
	mu      sync.Mutex
	notices map[string]notify.Notice
	facts   map[string]bool
	commits int
	// fault is asked before each change; see Fail.
	fault func(ids []string) error
}

var _ notify.Store = (*Store)(nil)

// Fail makes changes meet what fault returns, by the ids that they change; nil
// ends that.
func (s *Store) Fail(fault func(ids []string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = fault
}

// Commits is how many changes were stored.
func (s *Store) Commits() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.commits
}

// Notices returns all notices, in the order of their first facts.
func (s *Store) Notices() []notify.Notice {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.notices), func(a, b notify.Notice) int { return a.FirstSeen.Compare(b.FirstSeen) })
}

// Count implements notify.Store.
func (s *Store) Count(ctx context.Context, id string, keys []string, change func(n *notify.Notice, known []bool) bool) error {
	known := make([]bool, len(keys))
	return s.change(ctx, []string{id}, func(notices []*notify.Notice) bool {
		batch := map[string]bool{}
		for i, key := range keys {
			known[i] = s.facts[id+"/"+key] || batch[key]
			batch[key] = true
		}
		if !change(notices[0], known) {
			return false
		}
		for _, key := range keys {
			s.facts[id+"/"+key] = true
		}
		return true
	})
}

// Change implements notify.Store.
func (s *Store) Change(ctx context.Context, ids []string, change func(notices []*notify.Notice) bool) error {
	return s.change(ctx, ids, change)
}

func (s *Store) change(ctx context.Context, ids []string, change func(notices []*notify.Notice) bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return errors.Join(err)
	}
	if s.fault != nil {
		if err := s.fault(ids); err != nil {
			return err
		}
	}
	if s.notices == nil {
		s.notices, s.facts = map[string]notify.Notice{}, map[string]bool{}
	}
	notices := make([]*notify.Notice, len(ids))
	for i, id := range ids {
		n := s.notices[id]
		n.ID = id
		n.Samples, n.Titles = slices.Clone(n.Samples), slices.Clone(n.Titles)
		notices[i] = &n
	}
	if !change(notices) {
		return nil
	}
	s.commits++
	for _, n := range notices {
		s.notices[n.ID] = *n
	}
	return nil
}

// Pending implements notify.Store.
func (s *Store) Pending(_ context.Context, limit int) ([]notify.Notice, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []notify.Notice
	for _, n := range s.notices {
		if !n.DueAt.IsZero() {
			out = append(out, n)
		}
	}
	slices.SortFunc(out, func(a, b notify.Notice) int { return a.DueAt.Compare(b.DueAt) })
	return out[:min(limit, len(out))], nil
}
