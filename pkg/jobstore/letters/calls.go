package letters

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"cloud.google.com/go/firestore"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"google.golang.org/api/iterator"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/resilience"
)

// calls gives every call to Firestore a deadline, a category for its error, and
// a place in the metrics.
type calls struct {
	timeout time.Duration
	now     func() time.Time
	total   *prometheus.CounterVec
	seconds *prometheus.HistogramVec
}

func newCalls(cfg Config, reg prometheus.Registerer) *calls {
	factory := promauto.With(reg)
	return &calls{
		timeout: cfg.Timeout, now: cfg.Now,
		total: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "resiliency_letters_operations_total",
			Help: "Calls to Firestore about dead letters by operation (get, commit, list, count) and " +
				"result (ok, conflict, permanent, dependency, retryable).",
		}, []string{"op", "result"}),
		seconds: factory.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "resiliency_letters_operation_seconds",
			Help:    "How long calls to Firestore about dead letters took, by operation.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 13), // 1 ms to 4 s
		}, []string{"op"}),
	}
}

func (c *calls) do(ctx context.Context, op string, call func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	begin := c.now()
	err := call(ctx)
	if op == "commit" {
		err = jobstore.ClassifyCommit(err)
	} else {
		err = jobstore.Classify(err)
	}
	c.seconds.WithLabelValues(op).Observe(c.now().Sub(begin).Seconds())
	c.total.WithLabelValues(op, resultOf(err)).Inc()
	return err
}

func resultOf(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, jobstore.ErrConflict):
		return "conflict"
	default:
		return string(resilience.CategoryOf(err))
	}
}

// ref is nil-safe: ids come from URLs.
func (s *Store) ref(collection, id string) (*firestore.DocumentRef, error) {
	if id == "" || strings.ContainsRune(id, '/') {
		return nil, ErrNotFound
	}
	ref := s.db.Collection(collection).Doc(id)
	if ref == nil {
		return nil, ErrNotFound
	}
	return ref, nil
}

// read fills into with one document.
func (s *Store) read(ctx context.Context, collection, id string, into any) (*firestore.DocumentSnapshot, error) {
	ref, err := s.ref(collection, id)
	if err != nil {
		return nil, err
	}
	var snap *firestore.DocumentSnapshot
	missing := false
	err = s.calls.do(ctx, "get", func(ctx context.Context) error {
		var err error
		snap, err = ref.Get(ctx)
		// A missing document comes with a snapshot; NotFound without one means that
		// the database itself is missing.
		if missing = status.Code(err) == codes.NotFound && snap != nil; missing {
			return nil
		}
		return err //nolint:wrapcheck // do marks it
	})
	switch {
	case err != nil:
		return nil, err
	case missing:
		return nil, ErrNotFound
	}
	if err := snap.DataTo(into); err != nil {
		return nil, resilience.Permanent(fmt.Errorf("decode %s/%s: %w", collection, id, err))
	}
	return snap, nil
}

// commit carries out all writes of the batch or none.
func (s *Store) commit(ctx context.Context, batch *writeBatch) (time.Time, error) {
	var at time.Time
	err := s.calls.do(ctx, "commit", func(ctx context.Context) error {
		results, err := batch.Commit(ctx)
		if err != nil {
			return err //nolint:wrapcheck // do marks it
		}
		at = results[0].UpdateTime
		return nil
	})
	return at, err
}

// writeBatch is one commit with preconditions.
//
//nolint:staticcheck // Its successors are RunTransaction, which reads and locks first, and BulkWriter, which is not atomic.
type writeBatch = firestore.WriteBatch

// batch begins a commit.
func (s *Store) batch() *writeBatch { return s.db.Batch() } //nolint:staticcheck // see writeBatch

// documents runs a query.
func (s *Store) documents(ctx context.Context, query firestore.Query) ([]*firestore.DocumentSnapshot, error) {
	var out []*firestore.DocumentSnapshot
	err := s.calls.do(ctx, "list", func(ctx context.Context) error {
		out = nil
		docs := query.Documents(ctx)
		defer docs.Stop()
		for {
			snap, err := docs.Next()
			if errors.Is(err, iterator.Done) {
				return nil
			}
			if err != nil {
				return err //nolint:wrapcheck // do marks it
			}
			out = append(out, snap)
		}
	})
	return out, err
}
