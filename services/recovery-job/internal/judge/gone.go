package judge

import (
	"fmt"
	"time"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/services/recovery-job/internal/rules"
)

// output judges by what the run has left in its bucket. It is asked only about a
// run that the cluster does not show: what the cluster says is stronger.
func (q *inquest) output(*rules.Set) (Verdict, bool) {
	if !q.gone() && (q.reached() || q.found()) || q.noOutput() {
		return Verdict{}, false
	}
	switch q.Output.Probe {
	case NotAsked:
		return q.ask(NeedOutput), true
	case Failed:
		return q.outputFault(), true
	case Answered:
	}
	o := &q.Output
	switch o.Finding {
	case OutputMarked:
		return q.succeeded(ReasonMarker, "it has left the marker of this run in "+q.place()), true
	case OutputObjects:
		return q.succeeded(ReasonObjects, "it has left output in "+q.place()), true
	case OutputUnsettled:
		return q.leave(ReasonUnsettled, "something was written to "+q.place()+" just now", o.Newest.Add(q.rule.Output.Settle)), true
	case OutputUndated:
		return q.cannot(ReasonOutputUndated, "there is output in "+q.place()+", but nobody knows when this run began"), true
	case OutputUnsigned:
		return q.cannot(ReasonOutputUnsigned, "the marker in "+q.place()+" names neither the run's UID nor its attempt"), true
	case OutputNone, OutputEmpty, OutputIncomplete, OutputOld, OutputForeign:
		return Verdict{}, false
	default:
		return q.cannot(ReasonUnanswered, fmt.Sprintf("nobody knows the finding %q", o.Finding)), true
	}
}

// reached reports whether this run has ever been seen in the cluster.
func (q *inquest) reached() bool {
	k := &q.Record.Kubernetes
	return k.UID != "" && k.Attempt == q.attempt
}

// noOutput reports whether there is no place to look at.
func (q *inquest) noOutput() bool {
	return q.Record.OutputURI.Value == "" || q.rule.Output.Expect == rules.ExpectNone
}

func (q *inquest) place() string { return q.Record.OutputURI.Value }

func (q *inquest) outputFault() Verdict {
	switch f := &q.Output.Fault; f.Kind {
	case FaultRefused:
		return q.cannot(ReasonOutputRefused, "its output may not be read: "+f.Err)
	case FaultMisconfigured:
		return q.cannot(ReasonOutputMisconfigured, "the place of its output is none: "+f.Err)
	default:
		return q.cannot(ReasonOutputUnavailable, "its output cannot be read: "+f.Err)
	}
}

// succeeded closes a run that left its output, or only its stage if another
// follows.
func (q *inquest) succeeded(reason Reason, sentence string) Verdict {
	o := q.claim(q.Output.At)
	o.Kind, o.State, o.Evidence = job.KindStatus, job.StateSucceeded, job.EvidenceOutput
	if q.reached() && q.Record.Kubernetes.End == job.StageGoesOn {
		o.State, o.Evidence, o.StageDone = job.StateRunning, job.EvidenceNone, true
		if s := q.Record.Status.OccurredAt; !o.OccurredAt.After(s) {
			o.OccurredAt = s.Add(job.Precision)
		}
		reason = ReasonStageOutput
	}
	v := q.verdict(ActionSucceed, reason, sentence)
	if o.StageDone {
		v.Action = ActionAdopt
	}
	return q.close(v, &o)
}

// absence judges a run whose Kubernetes Job is gone without success.
func (q *inquest) absence() Verdict {
	reason, sentence := q.remains()
	heard, v, decided := q.phase()
	if decided {
		return v
	}
	if !q.Cluster.Live {
		return q.ask(NeedClusterLive)
	}
	if v, wrong := q.clock(); wrong {
		return v
	}
	switch q.rule.Do {
	case rules.DoInvestigate:
		if !q.beyondLimit(heard) {
			return q.told(q.leave(ReasonInvestigate, sentence+"; its rule leaves it to people", q.later()))
		}
	case rules.DoResume:
		v, decided := q.again(heard)
		if decided {
			return v
		}
		if v.Reason == ReasonResumesSpent || v.Reason == ReasonAttemptsSpent {
			reason, sentence = v.Reason, sentence+"; "+v.Sentence
		}
	case rules.DoFail, rules.DoDelay:
	}
	return q.fail(job.EvidenceAbsence, job.CauseLost, reason, sentence)
}

// remains says what a run that is gone has left behind.
func (q *inquest) remains() (Reason, string) {
	gone := "its Kubernetes Job " + q.Record.Kubernetes.Namespace + "/" + q.Record.Kubernetes.Name + " is gone and "
	if q.noOutput() {
		return ReasonGoneUndeclared, gone + "nothing says where its output would be"
	}
	switch q.Output.Finding {
	case OutputIncomplete:
		return ReasonGoneIncomplete, gone + fmt.Sprintf("left %d objects but no marker in %s", q.Output.Objects, q.place())
	case OutputOld:
		return ReasonGoneOld, gone + "what is in " + q.place() + " is older than this run"
	case OutputForeign:
		return ReasonGoneForeign, gone + "the marker in " + q.place() + " is not of this run: " + q.Output.Note
	default:
		return ReasonGone, gone + "left nothing in " + q.place()
	}
}

// silence judges a job of which nothing is found and nothing was heard.
func (q *inquest) silence() Verdict {
	if q.quiet.IsZero() {
		return q.cannot(ReasonTimesMissing, "nothing says when it was last heard of")
	}
	if q.Now.Before(q.due) {
		return q.leave(ReasonNotDue, "it was heard of "+q.quietFor()+" ago", q.due)
	}
	if r := q.Resumes; r.Attempt == q.attempt && q.Now.Before(r.OpenUntil) {
		return q.leave(ReasonResuming, "it was asked to run again", r.OpenUntil)
	}
	heard, v, decided := q.phase()
	if decided {
		return v
	}
	if !q.Cluster.Live {
		return q.ask(NeedClusterLive)
	}
	if v, wrong := q.clock(); wrong {
		return v
	}
	return q.silent(heard)
}

// phase returns when the last was heard of the job, its newest phase included, or
// the verdict that this leads to. The first is zero when nothing is dated. Only a
// phase newer than all else puts a verdict off: a Kubernetes Job that was seen to
// be gone after it need not have been silent.
func (q *inquest) phase() (heard time.Time, v Verdict, decided bool) {
	p := &q.Phase
	switch {
	case p.Probe == NotAsked:
		return heard, q.ask(NeedPhase), true
	case p.Probe == Failed:
		return heard, q.cannot(ReasonPhasesUnavailable, "its newest phase cannot be read: "+p.Fault.Err), true
	case p.At.After(q.Now.Add(maxAhead)):
		return heard, q.cannot(ReasonTimesFuture, "its newest phase is dated "+stamp(p.At)), true
	case !p.At.After(q.quiet):
		return q.quiet, v, false
	case q.Now.Sub(p.At) < q.rule.SilentFor:
		return heard, q.leave(ReasonNewerPhase, fmt.Sprintf("its phase %q is of %s", p.Name, stamp(p.At)), p.At.Add(q.rule.SilentFor)), true
	default:
		return p.At, v, false
	}
}

// maxAhead is how far the clock of a sender may be ahead of ours: what decoders
// let pass.
const maxAhead = 10 * time.Minute

// clock puts off a verdict from silence on a job whose status is dated ahead of
// this clock: the verdict would lose against it.
func (q *inquest) clock() (Verdict, bool) {
	switch at := q.Record.Status.OccurredAt; {
	case at.After(q.Now.Add(maxAhead)):
		return q.cannot(ReasonTimesFuture, "its status is dated "+stamp(at)), true
	case !at.Before(q.Now):
		return q.leave(ReasonClock, "its status is dated "+stamp(at), at.Add(time.Second)), true
	default:
		return Verdict{}, false
	}
}

func (q *inquest) beyondLimit(heard time.Time) bool {
	return q.rule.HardLimit > 0 && !heard.IsZero() && q.Now.Sub(heard) >= q.rule.HardLimit
}

// silent does what the rule says about a silent job.
func (q *inquest) silent(heard time.Time) Verdict {
	sentence := "nothing was heard of it for " + short(q.Now.Sub(heard)) + " and nothing of it is in the cluster"
	limit, deaf := q.beyondLimit(heard), q.Pipeline.Deaf(q.Now)
	reason := ReasonSilent
	switch q.rule.Do {
	case rules.DoInvestigate:
		if !limit {
			return q.told(q.leave(ReasonInvestigate, sentence+"; its rule leaves it to people", q.later()))
		}
		reason = ReasonHardLimit
	case rules.DoDelay:
		if !limit {
			return q.delay(ReasonLate, sentence, q.claim(q.Now), q.Now)
		}
		reason = ReasonHardLimit
	case rules.DoResume:
		v, decided := q.again(heard)
		if decided {
			return v
		}
		reason, sentence = v.Reason, sentence+"; "+v.Sentence
	case rules.DoFail:
		if deaf != "" && !limit {
			return q.leave(ReasonPipelineSilent, sentence+", but "+deaf, time.Time{})
		}
	}
	if deaf != "" && limit {
		reason = ReasonHardLimit
	}
	return q.fail(job.EvidenceAssumed, job.CauseSilent, reason, sentence)
}

// again asks for another run if that may help. Else the second result is false
// and the verdict says why not.
func (q *inquest) again(heard time.Time) (Verdict, bool) {
	r := &q.Resumes
	if r.Attempt == q.attempt && q.Now.Before(r.OpenUntil) {
		return q.leave(ReasonResuming, "it was asked to run again", r.OpenUntil), true
	}
	if deaf := q.Pipeline.Deaf(q.Now); deaf != "" {
		if q.beyondLimit(heard) {
			return Verdict{Reason: ReasonHardLimit, Sentence: "the limit of its rule is over, and " + deaf}, false
		}
		return q.leave(ReasonPipelineSilent, "it cannot be resumed: "+deaf, time.Time{}), true
	}
	switch {
	case r.Asked >= q.rule.Resume.Times:
		return Verdict{Reason: ReasonResumesSpent, Sentence: fmt.Sprintf("it was resumed %d times", r.Asked)}, false
	case q.attempt >= job.MaxAttempt:
		return Verdict{Reason: ReasonAttemptsSpent, Sentence: fmt.Sprintf("it had %d attempts", q.attempt)}, false
	}
	v := q.verdict(ActionResume, ReasonResume, fmt.Sprintf("nothing was heard of it for %s: it is resumed, %d of %d",
		q.span(heard), r.Asked+1, q.rule.Resume.Times))
	v.Resume = &Resume{
		Stage: q.view.Stage, Ordinal: q.view.Ordinal, ExpectedAttempt: q.attempt, NewAttempt: q.attempt + 1,
		Before: r.Asked, NotAfter: q.Now.Add(q.rule.Resume.NotAfter),
	}
	v.CheckAfter = v.Resume.NotAfter
	return q.finish(v), true
}
