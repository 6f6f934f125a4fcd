package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobevent"
	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/pkg/resilience"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
	"github.com/envision/resiliency/test/stack"
)

// product plays the product around the services: its backend and face detection,
// the worker that takes up what recovery-job asks for, and the part that tells
// users.
type product struct {
	project   *stack.Project
	kube      kubernetes.Interface
	publisher *messaging.Publisher
	told      *told

	mu sync.Mutex
	// attempts is the attempt that each job of face detection is in.
	attempts map[string]int32
}

// startProduct starts it; stop ends it and returns what went wrong.
func startProduct(ctx context.Context, s *stack.Stack, p *stack.Project) (prod *product, stop func() error, err error) {
	client, err := p.PubSub(ctx)
	if err != nil {
		return nil, nil, err
	}
	file, err := os.Create(filepath.Join(s.Dir(), "logs", "product.log"))
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("create the log of the product: %w", err), client.Close())
	}
	log, metrics := zerolog.New(file).With().Timestamp().Logger(), prometheus.NewRegistry()
	prod = &product{
		project: p, kube: s.Kube(), publisher: messaging.NewPublisher(client, messaging.PublisherConfig{}, metrics, log),
		told: newTold(), attempts: map[string]int32{},
	}
	commands := messaging.NewSubscriber(client, prod.publisher,
		messaging.Config{Subscription: topology.SubscriptionJobCommandsProduct}, prod.command, metrics, log)
	updates := messaging.NewSubscriber(client, prod.publisher,
		messaging.Config{Subscription: topology.SubscriptionJobUpdatesProduct}, prod.told.update, metrics, log)
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 2)
	go func() { ended <- commands.Run(running) }()
	go func() { ended <- updates.Run(running) }()
	return prod, sync.OnceValue(func() error {
		cancel()
		errs := []error{<-ended, <-ended}
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		return errors.Join(append(errs, prod.publisher.Close(closing), client.Close(), file.Close())...)
	}), nil
}

// enterBackend says that a job is in the backend, and nothing more.
func (p *product) enterBackend(ctx context.Context, id string) error {
	return p.say(ctx, p.claim(id, job.StageBackend, job.OrdinalBackend, 1))
}

// enterFaceDetection says that a job is in face detection, and nothing more.
func (p *product) enterFaceDetection(ctx context.Context, id string) error {
	p.mu.Lock()
	p.attempts[id] = 1
	p.mu.Unlock()
	return p.say(ctx, p.claim(id, job.StageFaceDetection, job.OrdinalFaceDetection, 1))
}

// claim says that a job runs.
func (p *product) claim(id, stage string, ordinal, attempt int32) job.Observation {
	return job.Observation{
		JobID: id, Attempt: attempt, Stage: stage, Ordinal: ordinal, OccurredAt: time.Now().UTC().Truncate(job.Precision),
		CorrelationID: "request-" + id, Source: resiliencyv1.Source_SOURCE_SDK, Reporter: "product",
		Owner: "demo", Tenant: p.project.Tenant, Kind: job.KindStatus, State: job.StateRunning,
	}
}

func (p *product) say(ctx context.Context, o job.Observation) error {
	o.EventID = job.EventID("demo", o.JobID, strconv.Itoa(int(o.Attempt)), o.Stage, job.StateName(o.State), strconv.FormatBool(o.StageDone))
	if err := p.publisher.Publish(ctx, jobevent.Encode(&o)); err != nil {
		return fmt.Errorf("say that job %s is in stage %s: %w", o.JobID, o.Stage, err)
	}
	return nil
}

// command is the worker of face detection. The backend has none left.
func (p *product) command(ctx context.Context, c *resiliencyv1.JobCommand, _ messaging.Meta) error {
	resume := c.GetResumeRequested()
	if resume == nil {
		return resilience.Permanent(fmt.Errorf("command %s of job %s: unknown kind", c.GetEventId(), c.GetJobId()))
	}
	if c.GetStage().GetName() != job.StageFaceDetection {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.attempts[c.GetJobId()] != c.GetExpectedAttempt() || time.Now().After(c.GetNotAfter().AsTime()) {
		return nil // the job has moved on, or the command comes too late
	}
	if err := p.goOn(ctx, c.GetJobId(), resume.GetNewAttempt()); err != nil {
		return fmt.Errorf("resume job %s: %w", c.GetJobId(), err)
	}
	p.attempts[c.GetJobId()] = resume.GetNewAttempt()
	return nil
}

// goOn runs face detection once more, well this time, and hands the job on to
// Kubernetes.
func (p *product) goOn(ctx context.Context, id string, attempt int32) error {
	claim := p.claim(id, job.StageFaceDetection, job.OrdinalFaceDetection, attempt)
	if err := p.say(ctx, claim); err != nil {
		return err
	}
	claim.StageDone, claim.OccurredAt = true, time.Now().UTC().Truncate(job.Precision)
	if err := p.say(ctx, claim); err != nil {
		return err
	}
	object := stack.Job(stack.JobSpec{
		Namespace: p.project.Namespace, Name: id, JobID: id, Attempt: int(attempt), CorrelationID: claim.CorrelationID,
		Owner: claim.Owner, Outcome: stack.OutcomeSucceed,
	})
	_, err := p.kube.BatchV1().Jobs(object.Namespace).Create(ctx, object, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create job %s/%s: %w", object.Namespace, object.Name, err)
	}
	return nil
}
