// Package report says what a run of recovery-job did, or would do: one item for
// each job that there is something to say about, and the counts of all.
//
// It only holds and counts. It decides nothing, and knows neither where it is
// shown nor where it is kept.
package report

import (
	"cmp"
	"slices"
	"time"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/services/recovery-job/internal/judge"
)

// State says how a run ended.
type State string

// The states of a run.
const (
	// Done has looked at all that was due.
	Done State = "DONE"
	// Cut has not: out of time, told to end, or at its limit.
	Cut State = "CUT"
	// Failed could not go on.
	Failed State = "FAILED"
)

// Fate says what became of a verdict.
type Fate string

// The fates of a verdict.
const (
	// FateWritten is on record, and so is what is told about it.
	FateWritten Fate = "written"
	// FateLeft asked for nothing to be written, or only for when to look next.
	FateLeft Fate = "left"
	// FateMoved met a job that had moved since it was read; it is left alone.
	FateMoved Fate = "moved"
	// FateWithheld was not carried out because the run had too many of its kind.
	FateWithheld Fate = "withheld"
	// FateUnjudged has no verdict for want of evidence.
	FateUnjudged Fate = "unjudged"
	// FateFailed could not be written.
	FateFailed Fate = "failed"
	// FatePlanned would be carried out by a run.
	FatePlanned Fate = "planned"
)

// Settled reports whether nothing is left to do about a job with this fate.
func (f Fate) Settled() bool { return f != FateWithheld && f != FateUnjudged && f != FateFailed }

// Item is one job.
type Item struct {
	JobID         string    `json:"job_id"`
	CorrelationID string    `json:"correlation_id,omitempty"`
	Owner         string    `json:"owner,omitempty"`
	Tenant        string    `json:"tenant,omitempty"`
	Stage         string    `json:"stage"`
	Attempt       int32     `json:"attempt"`
	State         string    `json:"state"`
	HeardAt       time.Time `json:"heard_at,omitzero"`
	Rule          string    `json:"rule,omitempty"`
	// Action is the verdict's, Verdict the state that it gives, Evidence what that
	// rests on and Cause why the job failed; empty when it gives none.
	Action   string `json:"action"`
	Verdict  string `json:"verdict,omitempty"`
	Evidence string `json:"evidence,omitempty"`
	Cause    string `json:"cause,omitempty"`
	Reason   string `json:"reason"`
	// Sentence is why, for whoever reads the report; Developers the rule's text.
	Sentence   string `json:"sentence"`
	Developers string `json:"-"`
	// Detail is all the evidence, a line each.
	Detail     string    `json:"detail,omitempty"`
	CheckAfter time.Time `json:"check_after,omitzero"`
	Fate       Fate      `json:"fate"`
	// Error is why it could not be written.
	Error string `json:"error,omitempty"`
	// Attention says that developers are to be told.
	Attention bool `json:"attention,omitempty"`
}

// ActionCreate is the action of a labelled Kubernetes Job without a record.
const ActionCreate = "create record"

// ReasonNoRecord is its reason, and ReasonUnreadable that of a record which this
// release cannot read, ReasonStore that of one which could not be read at all.
const (
	ReasonNoRecord   = "NO_RECORD"
	ReasonUnreadable = "RECORD_UNREADABLE"
	ReasonStore      = "STORE"
)

// Notable reports whether people are to know of a job though nothing was done
// about it.
func (it *Item) Notable() bool {
	return it.Attention || it.Reason == string(judge.ReasonPipelineSilent)
}

// New begins an item from a job's record and the verdict on it.
func New(record *job.Record, heard time.Time, v *judge.Verdict) Item {
	view := record.View()
	it := Item{
		JobID: record.JobID, CorrelationID: record.CorrelationID.Value, Owner: record.Owner.Value, Tenant: record.Tenant.Value,
		Stage: view.Stage, Attempt: view.Attempt, State: job.StateName(view.State), HeardAt: heard,
		Rule: v.Rule, Action: string(v.Action), Reason: string(v.Reason), Sentence: v.Sentence, Developers: v.Developers,
		Detail: v.Detail, CheckAfter: v.CheckAfter, Attention: v.Attention,
	}
	if v.State != job.StateUnspecified {
		it.Verdict = job.StateName(v.State)
	}
	if v.Evidence != job.EvidenceNone {
		it.Evidence = job.EvidenceName(v.Evidence)
	}
	if v.Cause != job.CauseUnspecified {
		it.Cause = job.CauseName(v.Cause)
	}
	return it
}

// Report is a run.
type Report struct {
	RunID   string `json:"run_id"`
	Cluster string `json:"cluster"`
	// Plan says that nothing was changed.
	Plan      bool      `json:"plan"`
	StartedAt time.Time `json:"started_at"`
	EndedAt   time.Time `json:"ended_at"`
	State     State     `json:"state"`
	// Error is why it failed or was cut.
	Error string `json:"error,omitempty"`
	// Silent says why nothing was concluded from silence; "" if it could be.
	Silent string `json:"pipeline_silent,omitempty"`
	// Read is how many due records were read, Looked how many of those had to be
	// judged, which leaves out what is not yet due by its rule and what belongs to
	// another cluster.
	Read   int `json:"read"`
	Looked int `json:"looked"`
	// Sent is how many waiting messages of the outbox went out at the end.
	Sent int `json:"sent"`
	// Items are the jobs that there is something to say about, by job id.
	Items []Item `json:"jobs"`
	// Counts are how many jobs met each fate, Reasons had each reason.
	Counts  map[string]int `json:"counts"`
	Reasons map[string]int `json:"reasons"`
}

// Count adds up a job and keeps it if it is worth to be told.
func (r *Report) Count(it *Item) {
	if r.Counts == nil {
		r.Counts, r.Reasons = map[string]int{}, map[string]int{}
	}
	r.Counts[string(it.Fate)]++
	r.Reasons[it.Reason]++
	r.Items = append(r.Items, *it)
}

// Unsettled is how many jobs are left to be judged or written.
func (r *Report) Unsettled() int {
	return r.Counts[string(FateWithheld)] + r.Counts[string(FateUnjudged)] + r.Counts[string(FateFailed)]
}

// Sort orders the items: first what is not settled, then by action and job id.
func (r *Report) Sort() {
	slices.SortFunc(r.Items, func(a, b Item) int {
		return cmp.Or(
			compareBool(a.Fate.Settled(), b.Fate.Settled()),
			cmp.Compare(a.Action, b.Action), cmp.Compare(a.JobID, b.JobID))
	})
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	default:
		return -1
	}
}
