package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"cloud.google.com/go/firestore"
	"cloud.google.com/go/pubsub/v2"
	"golang.org/x/time/rate"
	"google.golang.org/protobuf/proto"

	"github.com/envision/resiliency/pkg/jobevent"
	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/test/stack"
)

const (
	// latencyRate is the load under which the latency is taken, in events/s.
	latencyRate = 200
	// latencyWarm and latencyEvents are how many events are thrown away and taken.
	latencyWarm, latencyEvents = 1000, 2000
	// latencyPatience bounds the wait for the last record.
	latencyPatience = 60 * time.Second
)

// measureLatency takes the time from the publishing of an event to the commit of
// its record by a real status-updater, at a steady rate, beside a message that
// is received and then committed by a bare loop at the same rate.
func measureLatency(ctx context.Context, s *stack.Stack, bin string, r *Report, out io.Writer) error {
	fmt.Fprintf(out, "measuring from event to record at %d events/s (about 40 s)\n", latencyRate)
	updater := func(ctx context.Context, p *stack.Project, _ *firestore.Client, _ *pubsub.Client) (func(), error) {
		_, err := p.StartService(ctx, stack.ServiceSpec{Name: "status-updater", Binary: filepath.Join(bin, "status-updater")})
		return func() {}, err
	}
	product, err := runLatency(ctx, s, "latency", updater)
	if err != nil {
		return fmt.Errorf("measure from event to record: %w", err)
	}
	bare, err := runLatency(ctx, s, "barelat", bareConsumer)
	if err != nil {
		return fmt.Errorf("measure a bare round trip and commit: %w", err)
	}
	r.addRatio("event_to_record_p50_ms", "ms", percentile(product, 50), percentile(bare, 50))
	r.addRatio("event_to_record_p99_ms", "ms", percentile(product, 99), percentile(bare, 99))
	return nil
}

type consumerFunc func(context.Context, *stack.Project, *firestore.Client, *pubsub.Client) (stop func(), err error)

// bareConsumer receives and commits, and does nothing else.
func bareConsumer(ctx context.Context, _ *stack.Project, documents *firestore.Client, broker *pubsub.Client) (func(), error) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = broker.Subscriber(topology.SubscriptionJobEventsStatusUpdater).Receive(ctx, func(_ context.Context, m *pubsub.Message) {
			doc := documents.Collection("jobs").Doc(m.Attributes["job_id"])
			if _, err := doc.Create(context.WithoutCancel(ctx), map[string]any{"payload": m.Data}); err != nil {
				m.Nack()
				return
			}
			m.Ack()
		})
	}()
	return func() { cancel(); <-done }, nil
}

// runLatency publishes events, one job each, and returns for each taken one the
// milliseconds until its document's commit, by the server's own time of it.
func runLatency(ctx context.Context, s *stack.Stack, prefix string, consume consumerFunc) (ms []float64, err error) {
	p, err := s.NewProject(ctx, prefix)
	if err != nil {
		return nil, err
	}
	documents, err := p.Firestore(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, documents.Close()) }()
	broker, err := p.PubSub(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, broker.Close()) }()
	stop, err := consume(ctx, p, documents, broker)
	if err != nil {
		return nil, err
	}
	defer func() { stop(); err = errors.Join(err, p.Close(ctx)) }()
	published, err := publishSteadily(ctx, broker)
	if err != nil {
		return nil, err
	}
	return awaitRecords(ctx, documents, published)
}

// publishSteadily returns when each event was handed to the client.
func publishSteadily(ctx context.Context, broker *pubsub.Client) (map[string]time.Time, error) {
	publisher := broker.Publisher(topology.TopicJobEvents)
	publisher.PublishSettings.DelayThreshold = time.Millisecond
	defer publisher.Stop()
	pace := rate.NewLimiter(latencyRate, 1)
	published := make(map[string]time.Time, latencyWarm+latencyEvents)
	var wg sync.WaitGroup
	failed := make(chan error, 1)
	for i := range latencyWarm + latencyEvents {
		if err := pace.Wait(ctx); err != nil {
			return nil, err
		}
		o := usualStory()[0]
		o.JobID = fmt.Sprintf("l-%05d", i)
		data, err := proto.Marshal(jobevent.Encode(&o))
		if err != nil {
			return nil, err
		}
		if i >= latencyWarm {
			published[o.JobID] = time.Now()
		}
		result := publisher.Publish(ctx, &pubsub.Message{Data: data, Attributes: map[string]string{"job_id": o.JobID}})
		wg.Go(func() {
			if _, err := result.Get(ctx); err != nil {
				select {
				case failed <- fmt.Errorf("publish: %w", err):
				default:
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-failed:
		return nil, err
	default:
		return published, nil
	}
}

// awaitRecords waits until each job has its document and reads the commit times.
func awaitRecords(ctx context.Context, documents *firestore.Client, published map[string]time.Time) ([]float64, error) {
	deadline := time.Now().Add(latencyPatience)
	for {
		docs, err := documents.Collection("jobs").Documents(ctx).GetAll()
		if err != nil {
			return nil, fmt.Errorf("read the records: %w", err)
		}
		ms := make([]float64, 0, len(published))
		for _, doc := range docs {
			if at, taken := published[doc.Ref.ID]; taken {
				ms = append(ms, float64(doc.CreateTime.Sub(at).Microseconds())/1000)
			}
		}
		if len(ms) == len(published) {
			slices.Sort(ms)
			return ms, nil
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("%d of %d records came within %s", len(ms), len(published), latencyPatience)
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// percentile of sorted values, by the nearest rank.
func percentile(sorted []float64, p int) float64 {
	return sorted[(len(sorted)*p+99)/100-1]
}
