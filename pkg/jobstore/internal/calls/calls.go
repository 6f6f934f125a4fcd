// Package calls makes calls to Firestore for the stores beside the records: each
// has a deadline, a category for its error, and a place in the metrics.
//
// It never tries again and never interprets what was read.
package calls

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cloud.google.com/go/firestore"
	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"google.golang.org/api/iterator"

	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/resilience"
)

// Calls makes calls for one store. It is safe for concurrent use.
type Calls struct {
	timeout time.Duration
	total   *prometheus.CounterVec
	reads   prometheus.Counter
	seconds *prometheus.HistogramVec
}

// New returns Calls for the store of that name; timeout bounds each call.
func New(store string, timeout time.Duration, reg prometheus.Registerer) *Calls {
	factory, labels := promauto.With(reg), prometheus.Labels{"store": store}
	return &Calls{
		timeout: timeout,
		total: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "resiliency_store_operations_total", ConstLabels: labels,
			Help: "Calls to Firestore by store (phases, search, ledger, letters), operation (get, commit, list, count) and " +
				"result (ok, conflict, permanent, dependency, retryable).",
		}, []string{"op", "result"}),
		reads: factory.NewCounter(prometheus.CounterOpts{
			Name: "resiliency_store_reads_total", ConstLabels: labels,
			Help: "Documents that Firestore bills as read, by store (phases, search, ledger, letters).",
		}),
		seconds: factory.NewHistogramVec(prometheus.HistogramOpts{
			Name: "resiliency_store_operation_seconds", ConstLabels: labels,
			Help:    "How long calls to Firestore took, by store and operation.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 13), // 1 ms to 4 s
		}, []string{"op"}),
	}
}

// Do makes one call. op is one of get, commit, list, count. Errors are those of
// jobstore.Classify or, for a commit, of jobstore.ClassifyCommit.
func (c *Calls) Do(ctx context.Context, op string, call func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	begin := time.Now()
	err := call(ctx)
	if op == "commit" {
		err = jobstore.ClassifyCommit(err)
	} else {
		err = jobstore.Classify(err)
	}
	c.seconds.WithLabelValues(op).Observe(time.Since(begin).Seconds())
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

// Documents runs a query.
func (c *Calls) Documents(ctx context.Context, query firestore.Query) ([]*firestore.DocumentSnapshot, error) {
	return c.Some(ctx, query, func(*firestore.DocumentSnapshot) bool { return true })
}

// Some runs a query and stops after the document for which more says no: what is
// not read is not kept in memory.
func (c *Calls) Some(
	ctx context.Context, query firestore.Query, more func(*firestore.DocumentSnapshot) bool,
) ([]*firestore.DocumentSnapshot, error) {
	var out []*firestore.DocumentSnapshot
	err := c.Each(ctx, query, func(doc *firestore.DocumentSnapshot) bool {
		out = append(out, doc)
		return more(doc)
	})
	return out, err
}

// Each runs a query and hands over its documents as they come, up to the one for
// which more says no: what is made of them is made while the rest is on its way.
func (c *Calls) Each(ctx context.Context, query firestore.Query, more func(*firestore.DocumentSnapshot) bool) error {
	read := 0
	err := c.Do(ctx, "list", func(ctx context.Context) error {
		docs := query.Documents(ctx)
		defer docs.Stop()
		for {
			snap, err := docs.Next()
			if errors.Is(err, iterator.Done) {
				return nil
			}
			if err != nil {
				return err //nolint:wrapcheck // Do marks it
			}
			read++
			if !more(snap) {
				return nil
			}
		}
	})
	if err == nil {
		c.reads.Add(float64(max(read, 1))) // an empty query is billed as one
	}
	return err
}

// Get reads documents at once; those that do not exist come as such.
func (c *Calls) Get(ctx context.Context, db *firestore.Client, refs []*firestore.DocumentRef) ([]*firestore.DocumentSnapshot, error) {
	var out []*firestore.DocumentSnapshot
	err := c.Do(ctx, "get", func(ctx context.Context) (err error) {
		out, err = db.GetAll(ctx, refs)
		return err //nolint:wrapcheck // Do marks it
	})
	if err == nil {
		c.reads.Add(float64(len(out)))
	}
	return out, err
}

// Count returns how many documents a query chooses. It costs one read for each
// thousand of them.
func (c *Calls) Count(ctx context.Context, query firestore.Query) (int64, error) {
	var n int64
	err := c.Do(ctx, "count", func(ctx context.Context) error {
		result, err := query.NewAggregationQuery().WithCount("n").Get(ctx)
		if err != nil {
			return err //nolint:wrapcheck // Do marks it
		}
		value, ok := result["n"].(*firestorepb.Value)
		if !ok {
			return fmt.Errorf("count: the answer has no number but a %T", result["n"])
		}
		n = value.GetIntegerValue()
		return nil
	})
	if err == nil {
		c.reads.Add(float64(1 + n/1000))
	}
	return n, err
}
