package notices

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"cloud.google.com/go/firestore"
	"google.golang.org/api/iterator"

	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/notify"
)

// Collections of the database.
const (
	// CollectionNotices holds the notices.
	CollectionNotices = "notices"
	// CollectionFacts holds the facts that were counted.
	CollectionFacts = "notice_facts"
)

const (
	// defaultTimeout bounds one try of a change: a read and a commit.
	defaultTimeout = 5 * time.Second
	// maxTries bounds the tries of one change against conflicts.
	maxTries = 20
	// keepFacts is how long a fact is known by its key: longer than a dead letter
	// can come back.
	keepFacts = 40 * 24 * time.Hour
)

// ErrContended says that a notice changed under every try to change it.
var ErrContended = errors.New("the notice kept changing")

// Store is a notify.Store in Firestore. It is safe for concurrent use.
type Store struct {
	client *firestore.Client
	cfg    Config
}

// Config tunes a store. Zero values take the defaults.
type Config struct {
	// Timeout bounds one try of a change, a read and a commit; 5 s by default.
	Timeout time.Duration
	// Now replaces time.Now.
	Now func() time.Time
}

var _ notify.Store = (*Store)(nil)

// New returns a store on a client, which stays the caller's to close.
func New(client *firestore.Client, cfg Config) *Store {
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Store{client: client, cfg: cfg}
}

// row is what is read back of a notice's document. What stands beside it there
// is for queries, policies and people.
type row struct {
	Notice notify.Notice `firestore:"notice"`
}

const (
	fieldDue    = "due_at"
	fieldExpire = "expire_at"
)

// stored is a notice as it was read.
type stored struct {
	ref        *firestore.DocumentRef
	notice     notify.Notice
	exists     bool
	updateTime time.Time
}

// Count implements notify.Store. Errors are those of jobstore.Classify, or
// ErrContended.
func (s *Store) Count(ctx context.Context, id string, keys []string, change func(n *notify.Notice, known []bool) bool) error {
	facts := make([]*firestore.DocumentRef, len(keys))
	seen := make(map[string]bool, len(keys))
	twice := make([]bool, len(keys))
	for i, key := range keys {
		factID := factID(id, key)
		facts[i] = s.client.Collection(CollectionFacts).Doc(factID)
		twice[i], seen[factID] = seen[factID], true
	}
	// Most facts are new, so that is assumed first and asked only on a conflict.
	known := append([]bool(nil), twice...)
	err := s.retry(ctx, func(ctx context.Context, try int) error {
		if try > 0 {
			exist, err := s.exist(ctx, facts)
			if err != nil {
				return err
			}
			for i := range known {
				known[i] = twice[i] || exist[i]
			}
		}
		read, err := s.read(ctx, []string{id})
		if err != nil {
			return err
		}
		if !change(&read[0].notice, append([]bool(nil), known...)) {
			return nil
		}
		var fresh []*firestore.DocumentRef
		for i, ref := range facts {
			if !known[i] {
				fresh = append(fresh, ref)
			}
		}
		return s.commit(ctx, read, fresh)
	})
	if err != nil {
		return fmt.Errorf("commit %d facts of notice %s: %w", len(keys), id, err)
	}
	return nil
}

// Change implements notify.Store. Errors are those of jobstore.Classify, or
// ErrContended.
func (s *Store) Change(ctx context.Context, ids []string, change func(notices []*notify.Notice) bool) error {
	err := s.retry(ctx, func(ctx context.Context, _ int) error {
		read, err := s.read(ctx, ids)
		if err != nil {
			return err
		}
		notices := make([]*notify.Notice, len(read))
		for i := range read {
			notices[i] = &read[i].notice
		}
		if !change(notices) {
			return nil
		}
		return s.commit(ctx, read, nil)
	})
	if err != nil {
		return fmt.Errorf("commit notices %v: %w", ids, err)
	}
	return nil
}

// Pending implements notify.Store.
func (s *Store) Pending(ctx context.Context, limit int) ([]notify.Notice, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	docs := s.client.Collection(CollectionNotices).
		Where(fieldDue, ">", time.Unix(0, 0)).OrderBy(fieldDue, firestore.Asc).Limit(limit).Documents(ctx)
	defer docs.Stop()
	var out []notify.Notice
	for {
		snap, err := docs.Next()
		if errors.Is(err, iterator.Done) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("query notices that are due: %w", jobstore.Classify(err))
		}
		got, err := decode(snap)
		if err != nil {
			return nil, err
		}
		out = append(out, got.notice)
	}
}

// retry calls try until it ends with anything but a conflict.
func (s *Store) retry(ctx context.Context, try func(ctx context.Context, n int) error) error {
	for n := range maxTries {
		err := func() error {
			ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
			defer cancel()
			return try(ctx, n)
		}()
		if !errors.Is(err, jobstore.ErrConflict) {
			return err
		}
		// Some variation, or those who collided would do so again.
		timer := time.NewTimer(time.Duration(rand.IntN(20*min(n+1, 10))+1) * time.Millisecond) //nolint:gosec // no secret
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("after %d conflicts: %w", n+1, context.Cause(ctx))
		}
	}
	return ErrContended
}

func (s *Store) read(ctx context.Context, ids []string) ([]stored, error) {
	refs := make([]*firestore.DocumentRef, len(ids))
	for i, id := range ids {
		if refs[i] = s.client.Collection(CollectionNotices).Doc(id); refs[i] == nil {
			return nil, fmt.Errorf("%q is no id of a notice", id)
		}
	}
	snaps, err := s.client.GetAll(ctx, refs)
	if err != nil {
		return nil, fmt.Errorf("read: %w", jobstore.Classify(err))
	}
	out := make([]stored, len(snaps))
	for i, snap := range snaps {
		if out[i], err = decode(snap); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func decode(snap *firestore.DocumentSnapshot) (stored, error) {
	out := stored{ref: snap.Ref, exists: snap.Exists(), updateTime: snap.UpdateTime}
	if out.exists {
		var r row
		if err := snap.DataTo(&r); err != nil {
			return stored{}, fmt.Errorf("read notice %s: %w", snap.Ref.ID, err)
		}
		out.notice = r.Notice
	}
	out.notice.ID = snap.Ref.ID
	return out, nil
}

// exist tells which documents there are.
func (s *Store) exist(ctx context.Context, refs []*firestore.DocumentRef) ([]bool, error) {
	snaps, err := s.client.GetAll(ctx, refs)
	if err != nil {
		return nil, fmt.Errorf("read facts: %w", jobstore.Classify(err))
	}
	out := make([]bool, len(snaps))
	for i, snap := range snaps {
		out[i] = snap.Exists()
	}
	return out, nil
}

// commit writes the notices that were read, changed, and creates the facts. An
// answer that was lost leaves a commit that the client itself repeats; the repeat
// meets its own documents, which is a conflict like any other.
func (s *Store) commit(ctx context.Context, read []stored, facts []*firestore.DocumentRef) error {
	//nolint:staticcheck // Its successors are RunTransaction, which reads and locks first, and BulkWriter, which is not atomic.
	batch := s.client.Batch()
	for i := range read {
		if n := &read[i]; n.exists {
			batch.Update(n.ref, updates(&n.notice), firestore.LastUpdateTime(n.updateTime))
		} else {
			batch.Create(n.ref, fields(&n.notice))
		}
	}
	for _, ref := range facts {
		batch.Create(ref, map[string]any{"notice": read[0].ref.ID, fieldExpire: s.cfg.Now().Add(keepFacts).UTC()})
	}
	if _, err := batch.Commit(ctx); err != nil {
		return fmt.Errorf("commit: %w", jobstore.ClassifyCommit(err))
	}
	return nil
}

// fields is the document of a notice.
func fields(n *notify.Notice) map[string]any {
	var due any // null keeps it out of the query
	if !n.DueAt.IsZero() {
		due = n.DueAt
	}
	return map[string]any{"state": n.State, "channel": n.Channel, fieldExpire: n.ExpireAt, fieldDue: due, "notice": *n}
}

func updates(n *notify.Notice) []firestore.Update {
	var out []firestore.Update
	for name, value := range fields(n) {
		out = append(out, firestore.Update{Path: name, Value: value})
	}
	return out
}

func factID(notice, key string) string {
	sum := sha256.Sum256([]byte(notice + "\x00" + key))
	return hex.EncodeToString(sum[:16])
}
