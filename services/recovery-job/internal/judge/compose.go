package judge

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/envision/resiliency/pkg/job"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// ask wants an answer.
func (q *inquest) ask(n Need) Verdict {
	v := Verdict{Action: ActionAsk, Need: n}
	if q.rule != nil {
		v.Rule = q.rule.Name
	}
	return v
}

// verdict begins one.
func (q *inquest) verdict(a Action, r Reason, sentence string) Verdict {
	v := Verdict{Action: a, Reason: r, Sentence: oneLine(sentence)}
	if q.rule != nil {
		v.Rule = q.rule.Name
	}
	return v
}

// leave leaves the job alone until then.
func (q *inquest) leave(r Reason, sentence string, until time.Time) Verdict {
	v := q.verdict(ActionLeave, r, sentence)
	v.CheckAfter = until
	return q.finish(v)
}

// cannot has no verdict: nothing is written, and people are told.
func (q *inquest) cannot(r Reason, sentence string) Verdict {
	v := q.verdict(ActionCannotJudge, r, sentence)
	v.Attention = true
	return q.finish(v)
}

// cannot turns any verdict into one that writes nothing.
func (v *Verdict) cannot(r Reason, sentence string) Verdict {
	return Verdict{
		Action: ActionCannotJudge, Rule: v.Rule, Reason: r, Sentence: sentence, Attention: true,
		User: sentence, Developers: sentence,
	}
}

// told has the developers told as well.
func (q *inquest) told(v Verdict) Verdict {
	v.Attention = true
	return v
}

// adopt records what the cluster says.
func (q *inquest) adopt(r Reason, sentence string) Verdict {
	view := q.after.View()
	v := q.verdict(ActionAdopt, r, sentence)
	v.State, v.Evidence, v.Cause = view.State, view.Evidence, view.Cause.Cause
	v.Claims = q.news
	return q.finish(v)
}

// fail closes the job as failed.
func (q *inquest) fail(e job.Evidence, c job.Cause, r Reason, sentence string) Verdict {
	o := q.claim(q.Now)
	o.Kind, o.State, o.Evidence = job.KindStatus, job.StateFailed, e
	o.Cause = job.CauseDetail{Cause: c, Reason: string(r)}
	return q.close(q.verdict(ActionFail, r, sentence), &o)
}

// close completes a verdict that gives the job a state.
func (q *inquest) close(v Verdict, o *job.Observation) Verdict {
	v.State, v.Evidence, v.Cause = o.State, o.Evidence, o.Cause.Cause
	v = q.finish(v)
	o.Detail = v.Detail
	if o.Cause.Cause != job.CauseUnspecified {
		o.Cause.Message = v.User
	}
	o.EventID = q.eventID(o, job.StateName(o.State), job.EvidenceName(o.Evidence), strconv.FormatBool(o.StageDone))
	after := *q.Record
	if !after.Apply(o).Changed() || after.View().State != o.State {
		return v.cannot(ReasonVoid, "the record knows better than this verdict: "+v.Sentence)
	}
	v.Claims = []job.Observation{*o}
	return v
}

// claim begins a claim about the life that is judged: that of the Kubernetes Job
// where the run has reached the cluster and not gone beyond, else the status's.
func (q *inquest) claim(at time.Time) job.Observation {
	o := job.Observation{
		JobID: q.Record.JobID, Attempt: q.attempt, Ordinal: q.view.Ordinal, Stage: q.view.Stage,
		CorrelationID: q.Record.CorrelationID.Value,
	}
	s, k := &q.Record.Status, &q.Record.Kubernetes
	switch {
	case q.gone():
		o.Ordinal, o.Stage, o.Kubernetes = k.Ordinal, k.Stage, k.Kubernetes
	case s.UID != "":
		o.Kubernetes = job.Kubernetes{UID: s.UID, CreatedAt: s.CreatedAt}
		if k.UID == s.UID {
			o.Kubernetes = k.Kubernetes
		}
	}
	q.sign(&o, at)
	return o
}

// sign says who claims and when it became true.
func (q *inquest) sign(o *job.Observation, at time.Time) {
	o.Source, o.Reporter = resiliencyv1.Source_SOURCE_RECOVERY_JOB, q.home.Reporter
	o.OccurredAt = at.UTC().Truncate(job.Precision)
}

// eventID names a verdict: judged twice at one moment it is one fact.
func (q *inquest) eventID(o *job.Observation, parts ...string) string {
	all := append([]string{"RECOVERY", o.JobID, strconv.Itoa(int(o.Attempt)), o.Stage, o.Kubernetes.UID}, parts...)
	return job.EventID(append(all, job.TimePart(o.OccurredAt))...)
}

// finish adds what people read.
func (q *inquest) finish(v Verdict) Verdict {
	v.Detail = job.Cut(q.detail(&v), job.MaxDetailBytes)
	v.User, v.Developers = v.Sentence, v.Sentence
	if q.rule == nil {
		return v
	}
	values := q.values(&v)
	if closes := v.Action == ActionFail || v.Action == ActionSucceed || v.Action == ActionResume; closes && !q.rule.User.IsZero() {
		v.User = q.rule.User.Fill(values)
	}
	if !q.rule.Developers.IsZero() {
		v.Developers = q.rule.Developers.Fill(values)
	}
	return v
}

// values are the fields of a rule's texts, by the names of rules.Fields.
func (q *inquest) values(v *Verdict) map[string]string {
	verdict := string(v.Action)
	if v.State != job.StateUnspecified {
		verdict = job.StateName(v.State)
	}
	resumes := q.Resumes.Asked
	if v.Resume != nil {
		resumes++
	}
	return map[string]string{
		"job_id": q.Record.JobID, "owner": q.Record.Owner.Value, "tenant": q.Record.Tenant.Value,
		"correlation_id": q.Record.CorrelationID.Value, "stage": q.view.Stage, "state": job.StateName(q.view.State),
		"attempt": strconv.Itoa(int(q.attempt)), "silent_for": q.quietFor(), "rule": v.Rule, "verdict": verdict,
		"evidence": job.EvidenceName(v.Evidence), "reason": string(v.Reason), "sentence": v.Sentence,
		"resumes": strconv.Itoa(resumes), "max_resumes": strconv.Itoa(q.rule.Resume.Times), "output_uri": q.place(),
	}
}

func (q *inquest) quietFor() string { return q.span(q.quiet) }

// span is how long ago a moment is.
func (q *inquest) span(since time.Time) string {
	if since.IsZero() {
		return "an unknown time"
	}
	return short(q.Now.Sub(since))
}

// short is a duration as people say it: no seconds behind hours.
func short(d time.Duration) string {
	switch {
	case d >= time.Hour:
		d = d.Round(time.Minute)
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	case d >= time.Minute:
		d = d.Round(time.Second)
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	default:
		return d.Round(time.Second).String()
	}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return strconv.Quote(s)
}

func oneLine(s string) string {
	return strings.Join(strings.Fields(job.Cut(s, job.MaxMessageBytes)), " ")
}
