package jobstore

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/envision/resiliency/pkg/resilience"
)

// observed gives every operation of a backend a deadline, a category for its
// error, and a place in the metrics.
type observed struct {
	next    backend
	timeout time.Duration
	now     func() time.Time

	operations *prometheus.CounterVec
	documents  *prometheus.CounterVec
	seconds    *prometheus.HistogramVec
	// answered is when Firestore last answered (Unix nanoseconds); 0 before the
	// first answer, notAnswered after an operation that it did not answer.
	answered atomic.Int64
}

func newObserved(next backend, timeout time.Duration, now func() time.Time, reg prometheus.Registerer) *observed {
	factory := promauto.With(reg)
	return &observed{
		next: next, timeout: timeout, now: now,
		operations: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "resiliency_firestore_operations_total",
			Help: "Calls to Firestore by operation (get, commit, list, find, query, count, get_all) " +
				"and result (ok, conflict, permanent, dependency, retryable).",
		}, []string{"op", "result"}),
		documents: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "resiliency_firestore_documents_total",
			Help: "Documents that Firestore bills, by kind (read, write, delete); of answered calls.",
		}, []string{"kind"}),
		seconds: factory.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "resiliency_firestore_operation_seconds",
			Help:    "How long calls to Firestore took, by operation.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 13), // 1 ms to 4 s
		}, []string{"op"}),
	}
}

func (o *observed) get(ctx context.Context, collection, id string) (document, error) {
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	begin := o.now()
	doc, err := o.next.get(ctx, collection, id)
	if err = o.note("get", begin, classify(err)); err == nil {
		o.documents.WithLabelValues("read").Inc() // a missing one is billed too
	}
	return doc, err
}

func (o *observed) commit(ctx context.Context, writes []write) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	begin := o.now()
	at, err := o.next.commit(ctx, writes)
	if err = o.note("commit", begin, classifyCommit(err)); err == nil {
		for i := range writes {
			kind := "write"
			if writes[i].kind == writeDelete {
				kind = "delete"
			}
			o.documents.WithLabelValues(kind).Inc()
		}
	}
	return at, err
}

func (o *observed) list(ctx context.Context, collection, after string, limit int) ([]document, error) {
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	begin := o.now()
	docs, err := o.next.list(ctx, collection, after, limit)
	if err = o.note("list", begin, classify(err)); err == nil {
		o.documents.WithLabelValues("read").Add(float64(max(len(docs), 1))) // an empty query is billed as one
	}
	return docs, err
}

func (o *observed) find(ctx context.Context, collection string, path []string, value any, limit int) ([]document, error) {
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	begin := o.now()
	docs, err := o.next.find(ctx, collection, path, value, limit)
	if err = o.note("find", begin, classify(err)); err == nil {
		o.documents.WithLabelValues("read").Add(float64(max(len(docs), 1)))
	}
	return docs, err
}

func (o *observed) query(ctx context.Context, q *query) ([]document, error) {
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	begin := o.now()
	docs, err := o.next.query(ctx, q)
	if err = o.note("query", begin, classify(err)); err == nil {
		o.documents.WithLabelValues("read").Add(float64(max(len(docs), 1)))
	}
	return docs, err
}

func (o *observed) count(ctx context.Context, collection string, ids []string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	begin := o.now()
	n, err := o.next.count(ctx, collection, ids)
	if err = o.note("count", begin, classify(err)); err == nil {
		o.documents.WithLabelValues("read").Inc() // one for each thousand counted
	}
	return n, err
}

func (o *observed) getAll(ctx context.Context, collection string, ids []string) ([]document, error) {
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	begin := o.now()
	docs, err := o.next.getAll(ctx, collection, ids)
	if err = o.note("get_all", begin, classify(err)); err == nil {
		o.documents.WithLabelValues("read").Add(float64(len(docs)))
	}
	return docs, err
}

func (o *observed) note(op string, begin time.Time, err error) error {
	now := o.now()
	o.seconds.WithLabelValues(op).Observe(now.Sub(begin).Seconds())
	o.operations.WithLabelValues(op, resultOf(err)).Inc()
	switch {
	case resilience.Canceled(err):
		// Says nothing about Firestore.
	case err != nil && resilience.CategoryOf(err) == resilience.CategoryDependency:
		o.answered.Store(notAnswered)
	default:
		o.answered.Store(now.UnixNano())
	}
	return err
}

// answeredWithin reports whether the last operation was answered, and that not
// longer than d ago.
func (o *observed) answeredWithin(d time.Duration) bool {
	at := o.answered.Load()
	return at > 0 && o.now().UnixNano()-at <= int64(d)
}

// unanswered reports whether the last operation was not answered.
func (o *observed) unanswered() bool { return o.answered.Load() == notAnswered }

const notAnswered = -1

func resultOf(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, errConflict):
		return "conflict"
	default:
		return string(resilience.CategoryOf(err))
	}
}
