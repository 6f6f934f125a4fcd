package bench

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/test/stack"
	"github.com/envision/resiliency/test/stack/proxy"
)

// operations is what both proxies counted of one project.
type operations struct{ firestore, pubsub proxy.Counts }

// flow is the part of it that tells whether anything is still under way.
type flow struct{ published, told, acked, records, entries, deleted int64 }

func (o *operations) flow() flow {
	f := flow{
		published: proxy.Total(o.pubsub.Published),
		records:   o.firestore.Writes["jobs"], entries: o.firestore.Writes["outbox"], deleted: o.firestore.Deletes["outbox"],
	}
	for topic, subscription := range map[string]string{
		topology.TopicJobEvents:     topology.SubscriptionJobEventsStatusUpdater,
		topology.TopicJobLogEntries: topology.SubscriptionJobLogEntriesStatusUpdater,
	} {
		f.told += o.pubsub.Published[topic]
		f.acked += o.pubsub.Acked[subscription]
	}
	return f
}

// done: all that was told is acknowledged, and the outbox is empty.
func (f flow) done() bool { return f.acked >= f.told && f.deleted == f.entries }

// awaitQuiet returns the counts once nothing is under way and nothing comes.
func awaitQuiet(ctx context.Context, s *stack.Stack, p *stack.Project, sink *stack.LogSink) (*operations, error) {
	ctx, cancel := context.WithTimeout(ctx, operationsPatience)
	defer cancel()
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	last, since := flow{}, time.Now()
	for {
		if err := sink.Drain(ctx); err != nil {
			return nil, err
		}
		now := &operations{firestore: s.Firestore.Counts(p.ID), pubsub: s.PubSub.Counts(p.ID)}
		if f := now.flow(); f != last {
			last, since = f, time.Now()
		}
		if last.done() && time.Since(since) >= operationsQuiet {
			return now, nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait until nothing is under way (now %+v): %w", last, context.Cause(ctx))
		}
	}
}

// report adds the figures. Heartbeats are written by the clock, not for a job.
func (o *operations) report(r *Report, out io.Writer, suffix string) {
	perJob := func(n int64) float64 { return float64(n) / operationsJobs }
	writes := o.firestore.Writes["jobs"] + o.firestore.Writes["outbox"]
	r.add("firestore_reads_per_job"+suffix, "documents", perJob(proxy.Total(o.firestore.Reads)))
	r.add("firestore_writes_per_job"+suffix, "documents", perJob(writes))
	r.add("firestore_deletes_per_job"+suffix, "documents", perJob(proxy.Total(o.firestore.Deletes)))
	r.add("pubsub_messages_per_job"+suffix, "messages", perJob(proxy.Total(o.pubsub.Published)))
	for _, part := range []struct {
		name   string
		counts map[string]int64
	}{
		{"read", o.firestore.Reads}, {"written", o.firestore.Writes}, {"deleted", o.firestore.Deletes}, {"published", o.pubsub.Published},
	} {
		fmt.Fprintf(out, "  %-9s  %s\n", part.name, list(part.counts))
	}
}

// list names what there is, in the order of the alphabet.
func list(counts map[string]int64) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, counts[name]))
	}
	return strings.Join(parts, ", ")
}
