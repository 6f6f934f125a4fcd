package consume

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobevent"
	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/logentry"
	"github.com/envision/resiliency/pkg/resilience"
)

// podKey names a pod. Events know pods by name, and only the one of its creation
// ties that name to a Job.
type podKey struct{ cluster, namespace, name string }

// handleEventOfJob applies what an Event of a Job proves: its end, and nothing
// else.
func (h *Handler) handleEventOfJob(ctx context.Context, e entry) (string, error) {
	s := e.Event.Statement()
	object := &e.Event.InvolvedObject
	switch s.Says {
	case logentry.SaysNothing:
		return s.Why, nil
	case logentry.SaysPodCreated:
		h.pods.Add(podKey{e.Cluster(), object.Namespace, s.Pod}, object.UID)
		return outcomePod, nil
	default:
	}
	stored, err := h.findByUID(ctx, object.UID)
	if errors.Is(err, jobstore.ErrUnknownUID) {
		if outcome, again := early(e, err); again != nil {
			return outcome, again
		}
	}
	if outcome, done := lost(err); done {
		return outcome, nil
	}
	if err != nil {
		return outcomeOfError(err), err
	}
	if !logentry.Belongs(object, &stored.Record.Kubernetes.Kubernetes) {
		return h.refuse(e, stored.Record.JobID, refused{why: "names the UID of another Job"})
	}
	return h.state(ctx, e, &s, stored.Record)
}

// handleEventOfPod applies the cause that an Event of a pod shows, if its Job is
// known: from the Event that told of the pod's creation, at best effort.
func (h *Handler) handleEventOfPod(ctx context.Context, e entry) (string, error) {
	s := e.Event.Statement()
	if s.Says == logentry.SaysNothing {
		return s.Why, nil
	}
	namespace := e.Event.InvolvedObject.Namespace
	uid, ok := h.pods.Get(podKey{e.Cluster(), namespace, s.Pod})
	if !ok {
		return outcomeUnknownPod, nil
	}
	stored, err := h.findByUID(ctx, uid)
	if outcome, done := lost(err); done {
		return outcome, nil
	}
	if err != nil {
		return outcomeOfError(err), err
	}
	if stored.Record.Kubernetes.Namespace != namespace {
		return h.refuse(e, stored.Record.JobID, refused{why: "its pod is in another namespace"})
	}
	return h.state(ctx, e, &s, stored.Record)
}

// state makes the claim of an Event about a record.
func (h *Handler) state(ctx context.Context, e entry, s *logentry.Statement, r *job.Record) (string, error) {
	if ahead, is := s.Future(h.Now(), jobevent.MaxAhead); is {
		return outcomeFuture, resilience.Permanent(fmt.Errorf(
			"event %q of job %s lies %s ahead, more than %s", e.Event.Reason, r.JobID, ahead, jobevent.MaxAhead))
	}
	r, o, err := h.claimOf(ctx, s, r)
	switch {
	case errors.Is(err, errEndUnknown):
		if outcome, again := early(e, err); again != nil {
			return outcome, again
		}
		h.odd(e, r.JobID, err.Error(), "end not applied")
		return outcomeEndUnknown, nil
	case err != nil:
		return outcomeOfError(err), err
	}
	if err := h.letWatchersSpeak(ctx, &o, *r); err != nil {
		return outcomeError, err
	}
	return h.claim(ctx, e, &o)
}

// errEndUnknown says that a Job completed and its record does not tell what
// follows.
var errEndUnknown = errors.New("nobody has said whether the end of its Kubernetes Job ends the job")

// claimOf returns the claim of an Event with the record that it is about: where
// the one in hand, which may be a minute old, does not tell what the end of its
// Job means, the record as it is.
func (h *Handler) claimOf(ctx context.Context, s *logentry.Statement, r *job.Record) (*job.Record, job.Observation, error) {
	uid := r.Kubernetes.UID
	tells := func(r *job.Record) bool {
		_, ok := s.Claim(r)
		return ok && r.Kubernetes.UID == uid
	}
	if !tells(r) {
		stored, found, err := h.recent(ctx, r.JobID, tells)
		if err != nil {
			return r, job.Observation{}, err
		}
		if !found || !tells(stored.Record) {
			return r, job.Observation{}, errEndUnknown
		}
		r = stored.Record
	}
	o, _ := s.Claim(r)
	return r, o, nil
}

// letWatchersSpeak waits when the claim is news, for as long as the watchers may
// still bring it themselves. What they bring meanwhile makes it a repeat.
func (h *Handler) letWatchersSpeak(ctx context.Context, o *job.Observation, r job.Record) error {
	wait := min(h.EventGrace-h.Now().Sub(o.OccurredAt), h.EventGrace)
	if wait <= 0 || !job.Terminal(o.State) || !r.Apply(o).Changed() {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return resilience.Retryable(fmt.Errorf("wait for the watchers of job %s: %w", o.JobID, context.Cause(ctx)))
	}
}

func (h *Handler) findByUID(ctx context.Context, uid string) (stored jobstore.Stored, err error) {
	err = h.Breaker.Do(ctx, func(ctx context.Context) error {
		var err error
		stored, err = h.Records.FindByUID(ctx, uid)
		return err
	})
	return stored, err
}

// lost gives an Event that belongs to no job its outcome.
func lost(err error) (outcome string, is bool) {
	switch {
	case errors.Is(err, jobstore.ErrUnknownUID):
		return outcomeUnknownUID, true
	case errors.Is(err, jobstore.ErrAmbiguousUID):
		return outcomeAmbiguousUID, true
	default:
		return "", false
	}
}
