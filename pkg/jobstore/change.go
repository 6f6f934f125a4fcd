package jobstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/resilience"
)

// change is one commit to be made: from one stored record to the next.
type change struct {
	claim  *job.Observation
	next   *entry
	writes []write
	result Result
}

// plan merges the claim into the current record and prepares the commit. The
// current record is left as it is, for it is shared.
func (s *Store) plan(ctx context.Context, current *entry, o *job.Observation) (*change, error) {
	before := current.record
	if before == nil {
		before = &job.Record{}
	}
	after := new(*before)
	outcome := after.Apply(o)
	c := &change{claim: o, result: Result{
		Outcome: outcome, Before: before, After: after, Revision: current.meta.Revision,
	}}
	if !outcome.Changed() {
		return c, nil
	}
	now := s.now().UTC().Truncate(job.Precision)
	c.next = &entry{record: after, layout: layout, meta: Meta{
		Revision: current.meta.Revision + 1, UpdatedAt: now, UpdatedBy: s.writer,
		CheckAfter: now, Shard: ShardOf(o.JobID, s.shards), Recovery: current.meta.Recovery,
	}}
	c.result.Revision = c.next.meta.Revision
	if s.outbox != nil {
		entries, err := s.outbox(before, after, c.next.meta.Revision)
		if err != nil {
			return c, fmt.Errorf("say what goes out with revision %d: %w", c.next.meta.Revision, err)
		}
		c.result.Entries = s.stamped(ctx, entries, now)
	}
	c.writes = writesOf(current, c)
	return c, nil
}

func writesOf(current *entry, c *change) []write {
	writes := make([]write, 0, 1+len(c.result.Entries))
	record := write{collection: collectionJobs, id: c.next.record.JobID}
	if current.record == nil {
		record.kind, record.fields = writeCreate, Fields(c.next.record, &c.next.meta)
	} else {
		record.kind, record.ifUpdatedAt = writeUpdate, current.updateTime
		record.updates = changes(current, c.next.record, &c.next.meta)
	}
	writes = append(writes, record)
	for i := range c.result.Entries {
		writes = append(writes, c.result.Entries[i].create())
	}
	return writes
}

// isIn reports whether the change is what the database holds: the commit had
// been carried out, only its answer was lost (the client library repeats a
// commit by itself, and the repeat meets its own work as a conflict). In one
// process claims about one job are applied one after another, so revision and
// writer name one commit.
func (c *change) isIn(current *entry) bool {
	return c != nil && current.record != nil &&
		current.meta.Revision == c.next.meta.Revision &&
		current.meta.UpdatedBy == c.next.meta.UpdatedBy &&
		current.record.Equal(c.next.record)
}

// explains is the result of a claim that changes nothing: if that is because
// this very change is of the same fact, what the change did.
func (c *change) explains(o *job.Observation, r Result) Result {
	if c != nil && c.claim.EventID == o.EventID {
		return c.result
	}
	return c.addTo(r)
}

// addTo adds the entries of a change that turned out to be committed.
func (c *change) addTo(r Result) Result {
	if c != nil {
		r.Entries = slices.Concat(c.result.Entries, r.Entries)
	}
	return r
}

// check refuses what Firestore could not take, or would take as something else.
// A claim that came through pkg/jobevent is always well formed.
func check(o *job.Observation) error {
	if err := checkJobID(o.JobID); err != nil {
		return err
	}
	k := &o.Kubernetes
	for _, text := range [...]string{o.Stage, k.Cluster, k.Namespace, k.Name, k.UID} {
		if len(text) > job.MaxMessageBytes || !utf8.ValidString(text) {
			return resilience.Permanent(errors.New("a name of the claim is too long or not UTF-8"))
		}
	}
	return nil
}

// checkJobID lets pass only label values: never empty, never a path, never one
// of the ids that Firestore keeps for itself.
func checkJobID(id string) error {
	return resilience.Permanent(job.CheckID(id)) // nil stays nil
}
