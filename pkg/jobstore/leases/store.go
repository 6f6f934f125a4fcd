package leases

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"time"

	"cloud.google.com/go/firestore"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/resilience"
)

// Collection holds the leases.
const Collection = "leases"

// fencesPerToken is how many documents the commits of one holder are spread over.
const fencesPerToken = 16

// ErrLost says that a lease was not renewed in time, or that another holds it.
var ErrLost = errors.New("the lease is lost")

// HeldError says that somebody else holds the lease.
type HeldError struct {
	// Name of the lease, and who holds it until when.
	Name, Holder string
	Until        time.Time
}

// Error names the holder.
func (e *HeldError) Error() string {
	return fmt.Sprintf("lease %s is held by %s until %s", e.Name, e.Holder, e.Until.UTC().Format(time.RFC3339))
}

// Config tunes a store. Zero values take the defaults.
type Config struct {
	// TTL is how long a lease lasts without being renewed; 30 s by default. It is
	// renewed every third of it.
	TTL time.Duration
	// Timeout bounds one call to Firestore; 5 s by default, and at most a third
	// of TTL.
	Timeout time.Duration
	// Now replaces time.Now.
	Now func() time.Time
}

func (c Config) withDefaults() Config {
	if c.TTL <= 0 {
		c.TTL = 30 * time.Second
	}
	if c.Timeout <= 0 {
		c.Timeout = 5 * time.Second
	}
	c.Timeout = min(c.Timeout, c.TTL/3)
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Store gives leases. It is safe for concurrent use.
type Store struct {
	client *firestore.Client
	cfg    Config
}

// New returns a store on a Firestore client, which stays the caller's to close.
func New(client *firestore.Client, cfg Config) *Store {
	return &Store{client: client, cfg: cfg.withDefaults()}
}

// row is the document of a lease.
type row struct {
	Holder     string    `firestore:"holder"`
	Token      int64     `firestore:"token"`
	Until      time.Time `firestore:"until"`
	AcquiredAt time.Time `firestore:"acquired_at"`
}

// Acquire takes the lease for a holder, whose name must be unique among
// processes. A *HeldError says that somebody else has it; other errors are of
// category dependency when Firestore does not answer.
func (s *Store) Acquire(ctx context.Context, name, holder string) (*Lease, error) {
	l, err := s.acquire(ctx, name, holder)
	if err != nil {
		return nil, fmt.Errorf("take lease %s: %w", name, err)
	}
	return l, nil
}

func (s *Store) acquire(ctx context.Context, name, holder string) (*Lease, error) {
	was, updated, err := s.read(ctx, name)
	if err != nil {
		return nil, err
	}
	now := s.now()
	if was.Holder != "" && was.Holder != holder && now.Before(was.Until) {
		return nil, &HeldError{Name: name, Holder: was.Holder, Until: was.Until}
	}
	l := &Lease{store: s, name: name, row: row{Holder: holder, Token: was.Token + 1, Until: now.Add(s.cfg.TTL), AcquiredAt: now}}
	l.updated, err = s.handOver(ctx, l, was.Token, updated)
	if errors.Is(err, jobstore.ErrConflict) {
		// Somebody was faster, or it was this very commit whose answer was lost.
		is, at, readErr := s.read(ctx, name)
		switch {
		case readErr != nil:
			return nil, readErr
		case is.Holder == holder && is.Token == l.Token:
			l.updated = at
			return l, nil
		default:
			return nil, &HeldError{Name: name, Holder: is.Holder, Until: is.Until}
		}
	}
	return l, err
}

// handOver makes the lease the new holder's and takes away the former one's
// fences, in one commit.
func (s *Store) handOver(ctx context.Context, l *Lease, before int64, updated time.Time) (time.Time, error) {
	//nolint:staticcheck // Its successors are RunTransaction, which reads and locks first, and BulkWriter, which is not atomic.
	batch := s.client.Batch()
	ref := s.ref(l.name)
	if updated.IsZero() {
		batch.Create(ref, &l.row)
	} else {
		batch.Update(ref, []firestore.Update{
			{Path: "holder", Value: l.Holder}, {Path: "token", Value: l.Token},
			{Path: "until", Value: l.Until}, {Path: "acquired_at", Value: l.AcquiredAt},
		}, firestore.LastUpdateTime(updated))
	}
	for i := range fencesPerToken {
		if before > 0 {
			batch.Delete(s.fenceRef(l.name, before, i))
		}
		batch.Set(s.fenceRef(l.name, l.Token, i), map[string]any{jobstore.FenceField: l.Token})
	}
	return s.commit(ctx, batch)
}

func (s *Store) commit(ctx context.Context, batch *firestore.WriteBatch) (time.Time, error) { //nolint:staticcheck // see handOver
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	results, err := batch.Commit(ctx)
	if err != nil {
		return time.Time{}, jobstore.ClassifyCommit(err)
	}
	return results[0].UpdateTime, nil
}

// read returns the zero row and time when there is no lease yet.
func (s *Store) read(ctx context.Context, name string) (row, time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	ref := s.ref(name)
	if ref == nil {
		return row{}, time.Time{}, resilience.Permanent(fmt.Errorf("%q is no name of a lease", name))
	}
	snap, err := ref.Get(ctx)
	// A missing document comes with a snapshot; NotFound without one means that
	// the database itself is missing.
	if status.Code(err) == codes.NotFound && snap != nil {
		return row{}, time.Time{}, nil
	}
	if err != nil {
		return row{}, time.Time{}, jobstore.Classify(err)
	}
	var r row
	if err := snap.DataTo(&r); err != nil {
		return row{}, time.Time{}, resilience.Permanent(fmt.Errorf("read its document: %w", err))
	}
	return r, snap.UpdateTime, nil
}

func (s *Store) ref(name string) *firestore.DocumentRef {
	return s.client.Collection(Collection).Doc(name)
}

func collectionFences(name string) string { return Collection + "/" + name + "/fences" }

func fenceName(token int64, i int) string {
	return strconv.FormatInt(token, 10) + "-" + strconv.Itoa(i)
}

func (s *Store) fenceRef(name string, token int64, i int) *firestore.DocumentRef {
	return s.client.Collection(collectionFences(name)).Doc(fenceName(token, i))
}

func (s *Store) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Microsecond) }

func spread(key string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key)) // a hash never fails
	return int(h.Sum32() % fencesPerToken)
}
