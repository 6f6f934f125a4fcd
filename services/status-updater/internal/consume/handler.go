package consume

import (
	"context"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/rs/zerolog"
	"google.golang.org/protobuf/proto"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/logentry"
	"github.com/envision/resiliency/pkg/messaging"
)

// Records is where claims are applied and jobs are looked up.
type Records interface {
	Apply(ctx context.Context, o *job.Observation) (jobstore.Result, error)
	// FindByUID returns the record that names the Kubernetes Job.
	FindByUID(ctx context.Context, uid string) (jobstore.Stored, error)
	// RecentWhere returns the record as it was within the last minute, or, if it
	// does not suit so, as it is now.
	RecentWhere(ctx context.Context, jobID string, suits func(*job.Record) bool) (stored jobstore.Stored, found bool, err error)
}

// Breaker keeps calls from Firestore while it is down.
type Breaker interface {
	Do(ctx context.Context, fn func(ctx context.Context) error) error
}

// Outbox takes committed entries that are to be published now; it never blocks.
type Outbox interface {
	Offer(entries []jobstore.Entry)
}

// Phases publishes phases and returns once they are confirmed. While their topic
// cannot be published to, its error says what to wait for (messaging.HeldBy).
type Phases interface {
	Publish(ctx context.Context, phase proto.Message) error
}

// Sources compares who says what.
type Sources interface {
	// Claim notes a claim, and whether its source was the first to bring it.
	Claim(source job.Source, first bool)
	// Heard notes that a source said anything else.
	Heard(source job.Source)
}

// Parts are what a Handler works with.
type Parts struct {
	Records Records
	Breaker Breaker
	Outbox  Outbox
	Phases  Phases
	Sources Sources
	// Trust says whose lines of the log count.
	Trust   logentry.Trust
	Metrics *Metrics
	// EventGrace is how long after its time the Event of an end waits for the
	// watchers to tell of it first: they know more, and would have to write the
	// record again. Cloud Logging usually takes longer by itself.
	EventGrace time.Duration
	// Now is the clock that judges claims from the future.
	Now func() time.Time
	Log zerolog.Logger
}

// Handler handles messages. It is safe for concurrent use.
type Handler struct {
	Parts
	// oddities logs what anybody who can print a line can bring about: at most
	// some lines a minute.
	oddities zerolog.Logger
	pods     *lru.Cache[podKey, string]
}

const (
	// maxPods bounds the pods whose Job is remembered; about 300 bytes each.
	maxPods = 1 << 14
	// maxOddities is how many oddities a minute are logged; all are counted.
	maxOddities = 10
)

// New returns a handler.
func New(parts Parts) *Handler {
	pods, _ := lru.New[podKey, string](maxPods) // fails only for a size of 0
	return &Handler{
		Parts: parts, pods: pods,
		oddities: parts.Log.Sample(&zerolog.BurstSampler{Burst: maxOddities, Period: time.Minute}),
	}
}

// merge applies a claim to its job's record, hands on what is to be published,
// and takes note of what the claim did.
func (h *Handler) merge(ctx context.Context, o *job.Observation, begin time.Time, meta *messaging.Meta) error {
	var result jobstore.Result
	err := h.Breaker.Do(ctx, func(ctx context.Context) error {
		var err error
		result, err = h.Records.Apply(ctx, o)
		return err
	})
	if err != nil {
		h.Metrics.observe(outcomeOfError(err), o)
		return err
	}
	h.Outbox.Offer(result.Entries)
	h.Sources.Claim(o.Source, result.Outcome.Changed())
	h.Metrics.applied(o, &result, begin, h.Now())
	h.tell(ctx, o, &result, meta)
	return nil
}
