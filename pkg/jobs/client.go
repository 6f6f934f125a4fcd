package jobs

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobevent"
	"github.com/envision/resiliency/pkg/messaging"
)

// Client reports on jobs. One serves a whole process; it is safe for use by many
// goroutines, and a nil one does nothing.
type Client struct {
	cfg Config
	// base is where the sequences of this instance begin.
	base int64
	// create sends the first claim of a job, and waits; nil when there is nothing
	// to send to.
	create confirmer
	sender *sender
	closer func() error
}

// FromEnvironment returns a client set up by the environment.
func FromEnvironment(ctx context.Context) (*Client, error) {
	return New(ctx, ConfigFromEnvironment())
}

// New returns a client. It makes no call, so it fails only where there are no
// credentials; the nil client that comes with the error does nothing, so a
// product may log the error and go on.
func New(ctx context.Context, cfg Config) (*Client, error) {
	cfg = cfg.withDefaults()
	c := newClient(cfg)
	if cfg.ProjectID == "" {
		return c, nil
	}
	broker, err := messaging.NewClient(ctx, cfg.ProjectID, cfg.Options...)
	if err != nil {
		return nil, fmt.Errorf("set up the SDK: %w", err)
	}
	// What waits for an answer gives up sooner than what nobody waits for.
	confirming := messaging.NewPublisher(broker, messaging.PublisherConfig{Timeout: confirmWithin}, nil, cfg.Log)
	c.connect(confirming, background{messaging.NewPublisher(broker, messaging.PublisherConfig{
		Timeout: cfg.Retry, MaxOutstanding: cfg.Buffer + 1, // the sender's own bound is met first
	}, nil, zerolog.Nop())})
	c.closer = broker.Close
	return c, nil
}

func newClient(cfg Config) *Client {
	if cfg.Instance == "" {
		cfg.Instance = uuid.NewString()
	}
	return &Client{cfg: cfg, base: sequenceBase(cfg.Instance), closer: func() error { return nil }}
}

func (c *Client) connect(create confirmer, background publisher) {
	c.create = create
	c.sender = newSender(background, c.cfg)
}

// Close flushes what is buffered and ends the client. When ctx ends first, what
// is left is dropped and the error says how much. Calls after it do nothing.
func (c *Client) Close(ctx context.Context) error {
	if c == nil || c.sender == nil {
		return nil
	}
	err := errors.Join(c.sender.close(ctx), c.create.Close(ctx), c.closer())
	if err != nil {
		return fmt.Errorf("close the SDK: %w", err)
	}
	return nil
}

// Dropped is how many events have not reached Pub/Sub and never will.
func (c *Client) Dropped() int64 {
	if c == nil || c.sender == nil {
		return 0
	}
	return c.sender.messages.dropped.Load()
}

// Create announces a new job, or a new run of one, and returns once Pub/Sub has
// confirmed it. An error says that the job is not known to be on record: to call
// again with the same Spec is always safe, for it is the same fact. It waits for
// 30 seconds at most.
func (c *Client) Create(ctx context.Context, spec Spec) (*Job, error) {
	j, err := c.newJob(ctx, spec)
	if err != nil {
		return nil, fmt.Errorf("create job %q: %w", job.Cut(spec.ID, 2*job.MaxIDBytes), err)
	}
	if c == nil || c.create == nil {
		return j, nil
	}
	e := j.created()
	if _, err := jobevent.Decode(e.claim(), c.cfg.Now()); err != nil {
		return nil, fmt.Errorf("create job %s: %w", spec.ID, err)
	}
	if err := c.create.Publish(messaging.WithTrace(ctx, e.span), e.msg); err != nil {
		return nil, fmt.Errorf("create job %s: %w", spec.ID, err)
	}
	c.sender.print(e)
	j.note(e.span, phaseCreated, "", nil)
	return j, nil
}

// Join takes up a job that another process has created. It sends nothing and
// fails only on a Ref that can name no run of a job.
func (c *Client) Join(ctx context.Context, ref Ref) (*Job, error) {
	spec := Spec{ID: ref.JobID, Attempt: ref.Attempt, CorrelationID: ref.CorrelationID, Stage: ref.Stage}
	if ref.InPod && spec.Stage.Name == "" {
		spec.Stage = OnKubernetes(KubernetesJob{})
	}
	j, err := c.newJob(ctx, spec)
	if err != nil {
		return nil, fmt.Errorf("join job %q: %w", job.Cut(ref.JobID, 2*job.MaxIDBytes), err)
	}
	j.inPod = ref.InPod
	if !j.span.IsValid() {
		j.span = ref.span()
	}
	return j, nil
}

// JoinFromEnvironment takes up, inside a container of a Kubernetes Job, the job
// that its environment names.
func (c *Client) JoinFromEnvironment(ctx context.Context) (*Job, error) {
	ref, err := RefFromEnvironment()
	if err != nil {
		return nil, err
	}
	return c.Join(ctx, ref)
}
