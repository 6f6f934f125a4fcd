package bench

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/test/stack/proxy"
)

// counted is what 200 jobs might have taken.
func counted() *operations {
	return &operations{
		firestore: proxy.Counts{
			Reads:   map[string]int64{"jobs": 200, "outbox": 2},
			Writes:  map[string]int64{"jobs": 600, "outbox": 400, "heartbeats": 3},
			Deletes: map[string]int64{"outbox": 400},
		},
		pubsub: proxy.Counts{
			Published: map[string]int64{
				topology.TopicJobEvents: 600, topology.TopicJobLogEntries: 900, topology.TopicJobUpdates: 400,
			},
			Acked: map[string]int64{
				topology.SubscriptionJobEventsStatusUpdater: 600, topology.SubscriptionJobLogEntriesStatusUpdater: 900,
			},
		},
	}
}

func TestOperations_report(t *testing.T) {
	t.Parallel()
	var r Report
	var out strings.Builder
	counted().report(&r, &out, "_mix")
	want := []Measure{
		{Name: "firestore_reads_per_job_mix", Value: 1.01, Unit: "documents"},
		{Name: "firestore_writes_per_job_mix", Value: 5, Unit: "documents"},
		{Name: "firestore_deletes_per_job_mix", Value: 2, Unit: "documents"},
		{Name: "pubsub_messages_per_job_mix", Value: 9.5, Unit: "messages"},
	}
	if diff := cmp.Diff(want, r.Measures); diff != "" {
		t.Errorf("measures (-want +got):\n%s", diff)
	}
	if want := "heartbeats 3, jobs 600, outbox 400"; !strings.Contains(out.String(), want) {
		t.Errorf("output lacks %q:\n%s", want, out.String())
	}
}

// A count that ends while something is under way is too low.
func TestFlow_done(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*operations){
		"":                              func(*operations) {},
		"an event in hand":              func(o *operations) { o.pubsub.Acked[topology.SubscriptionJobEventsStatusUpdater]-- },
		"an entry in hand":              func(o *operations) { o.pubsub.Acked[topology.SubscriptionJobLogEntriesStatusUpdater]-- },
		"an update still in the outbox": func(o *operations) { o.firestore.Deletes["outbox"]-- },
	} {
		o := counted()
		change(o)
		if got := o.flow().done(); got != (name == "") {
			t.Errorf("with %q under way: done = %t", name, got)
		}
	}
}
