package consume

import (
	"context"
	"errors"
	"fmt"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobevent"
	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/logentry"
	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/resilience"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

const (
	sourceWitness = resiliencyv1.Source_SOURCE_LOG_WITNESS
	sourceSDK     = resiliencyv1.Source_SOURCE_SDK
)

// refused says why a line does not count. It is no fault of ours: the line is
// acked, counted and logged.
type refused struct {
	why string
	// yet says that a record that is behind the line may be all there is to it.
	yet bool
}

func (r refused) Error() string { return r.why }

// handleJobLine applies the claim of a line.
func (h *Handler) handleJobLine(ctx context.Context, e entry) (string, error) {
	begin := h.Now()
	speaker, jobID := h.Trust.Speaker(e.Entry)
	if speaker == logentry.SpeakerNobody {
		return h.refuse(e, "", refused{why: "its writer is neither the witness nor a job's container"})
	}
	event, err := e.JobEvent()
	if err != nil {
		return h.unreadable(e, speaker, jobID, outcomeUndecodable, err)
	}
	o, err := jobevent.Decode(event, begin)
	switch {
	case errors.Is(err, jobevent.ErrUnknownEvent):
		ids(h.Log.Warn().Ctx(ctx), &o, e.meta).Err(err).Msg("event of an unknown kind ignored")
		return outcomeUnknown, nil
	case err != nil:
		return h.unreadable(e, speaker, jobID, outcomeInvalid, err)
	}
	if speaker == logentry.SpeakerWitness {
		o.Source = sourceWitness // it is who GKE says it is
	} else if err := h.vouchClaim(ctx, e, &o, jobID); err != nil {
		return h.refuse(e, o.JobID, err)
	}
	return h.claim(ctx, e, &o)
}

// claim merges a claim and gives the entry its outcome.
func (h *Handler) claim(ctx context.Context, e entry, o *job.Observation) (string, error) {
	if err := h.merge(ctx, o, h.Now(), e.meta); err != nil {
		return outcomeOfError(err), err
	}
	return outcomeClaim, nil
}

// handlePhaseLine passes a phase on to job-phases, as whoever can reach Pub/Sub
// does itself. Its id is that of the fact, so a phase that came both ways is one.
func (h *Handler) handlePhaseLine(ctx context.Context, e entry) (string, error) {
	speaker, jobID := h.Trust.Speaker(e.Entry)
	if speaker == logentry.SpeakerNobody {
		return h.refuse(e, "", refused{why: "its writer is neither the witness nor a job's container"})
	}
	phase, err := e.PhaseEvent()
	if err != nil {
		return h.unreadable(e, speaker, jobID, outcomeUndecodable, err)
	}
	if err := jobevent.CheckHead(phase, h.Now()); err != nil {
		err = fmt.Errorf("decode phase %s of job %s: %w", job.Cut(phase.GetEventId(), 64), job.Cut(phase.GetJobId(), 64), err)
		return h.unreadable(e, speaker, jobID, outcomeInvalid, resilience.Permanent(err))
	}
	if phase.GetEvent() == nil {
		// Of a kind that a later release made: what is left of it tells nothing.
		return outcomeUnknown, nil
	}
	if speaker == logentry.SpeakerWitness {
		phase.Source = sourceWitness
	} else if err := h.vouch(ctx, e, spoken{jobID: phase.GetJobId(), source: phase.GetSource()}, jobID); err != nil {
		return h.refuse(e, phase.GetJobId(), err)
	}
	if err := h.Phases.Publish(ctx, phase); err != nil {
		return outcomeOfError(err), fmt.Errorf("pass on phase %s of job %s: %w", phase.GetEventId(), phase.GetJobId(), err)
	}
	h.Sources.Heard(phase.GetSource())
	return outcomePhase, nil
}

// vouchClaim returns nil when a container may make a claim: about the job that
// its pod belongs to, in the SDK's name, and nothing that only a watcher sees.
func (h *Handler) vouchClaim(ctx context.Context, e entry, o *job.Observation, jobID string) error {
	if o.Evidence != job.EvidenceNone && o.Evidence != job.EvidenceStated {
		return refused{why: "claims evidence " + job.EvidenceName(o.Evidence)}
	}
	if o.Kind != job.KindStatus && o.Kind != job.KindCause {
		return refused{why: "claims what only a watcher sees"}
	}
	return h.vouch(ctx, e, spoken{o.JobID, o.Source, &o.Kubernetes}, jobID)
}

// spoken is what matters here of what a container says.
type spoken struct {
	jobID  string
	source job.Source
	// named is the Kubernetes Job that it names; may be nil.
	named *job.Kubernetes
}

// vouch returns nil when GKE's own fields say that the container belongs to the
// job's Kubernetes Job. The pod's label alone does not: a line can bring labels
// of its own. The Kubernetes Job that the container names, if any, is replaced
// by what the record knows of it.
func (h *Handler) vouch(ctx context.Context, e entry, said spoken, jobID string) error {
	switch {
	case said.jobID != jobID:
		return refused{why: "speaks for another job than its pod's"}
	case said.source != sourceSDK:
		return refused{why: "speaks in the name of " + job.SourceName(said.source)}
	}
	stored, found, err := h.recent(ctx, jobID, func(r *job.Record) bool {
		return said.doubt(e, &r.Kubernetes.Kubernetes) == nil
	})
	if err != nil {
		return err
	}
	var k job.Kubernetes // of no record, that of none
	if found {
		k = stored.Record.Kubernetes.Kubernetes
	}
	if doubt := said.doubt(e, &k); doubt != nil {
		return doubt
	}
	if said.named != nil && *said.named != (job.Kubernetes{}) {
		*said.named = k
	}
	return nil
}

// doubt says why the container is none of this Kubernetes Job, nil if it is. A
// record comes to name a Job only when a watcher's word is merged, which a line
// may well overtake: so each may come right.
func (s *spoken) doubt(e entry, k *job.Kubernetes) error {
	switch {
	case k.UID == "":
		return refused{"no record names the Kubernetes Job of this container", true}
	case !e.Vouches(k):
		return refused{"is no container of the job's Kubernetes Job", true}
	case s.named != nil && s.named.UID != "" && s.named.UID != k.UID:
		return refused{"names another Kubernetes Job", true}
	default:
		return nil
	}
}

func (h *Handler) recent(ctx context.Context, jobID string, suits func(*job.Record) bool) (stored jobstore.Stored, found bool, err error) {
	err = h.Breaker.Do(ctx, func(ctx context.Context) error {
		var err error
		stored, found, err = h.Records.RecentWhere(ctx, jobID, suits)
		return err
	})
	return stored, found, err
}

// refuse gives a line that does not count its outcome.
func (h *Handler) refuse(e entry, jobID string, err error) (string, error) {
	r, ok := errors.AsType[refused](err)
	if !ok {
		return outcomeOfError(err), err
	}
	if r.yet {
		if outcome, again := early(e, err); again != nil {
			return outcome, again
		}
	}
	h.odd(e, jobID, err.Error(), "entry not trusted")
	return outcomeUntrusted, nil
}

// unreadable dead-letters what the witness said and acks what a container said.
func (h *Handler) unreadable(e entry, speaker logentry.Speaker, jobID, outcome string, err error) (string, error) {
	if speaker == logentry.SpeakerWitness {
		if outcome == outcomeUndecodable {
			err = messaging.Undecodable(err)
		}
		return outcome, err
	}
	h.odd(e, jobID, err.Error(), "line of a container cannot be read")
	return outcome, nil
}
