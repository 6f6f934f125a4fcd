package timeline

import (
	"fmt"
	"strings"
	"time"
)

// Owner is who has to act next.
type Owner string

// The owners.
const (
	// OwnerNobody: nothing is left to do.
	OwnerNobody Owner = "nobody"
	// OwnerStage: a stage of the pipeline is working, or has to begin.
	OwnerStage Owner = "stage"
	// OwnerCluster: the cluster has to find room.
	OwnerCluster Owner = "cluster"
	// OwnerRecovery: recovery-job has to judge.
	OwnerRecovery Owner = "recovery-job"
	// OwnerUser: the job's owner decides.
	OwnerUser Owner = "user"
	// OwnerOperator: somebody has to look at dead letters first.
	OwnerOperator Owner = "operator"
	// OwnerPipeline: a message that is on its way has to arrive.
	OwnerPipeline Owner = "pipeline"
)

// Explanation is a job in three plain sentences.
type Explanation struct {
	JobID string    `json:"job_id"`
	At    time.Time `json:"at"`
	// Known says what is known of the job, Now who has it, Next what happens next
	// and when.
	Known string `json:"known"`
	Now   string `json:"now"`
	Next  string `json:"next"`
	Owner Owner  `json:"owner"`
	// NextAt is when it happens, zero when no time can be told.
	NextAt time.Time `json:"next_at,omitzero"`
	// Where, Cause and the lists are the facts behind the sentences.
	Status     Status      `json:"status"`
	Stop       *Stop       `json:"stop,omitempty"`
	Judgement  *Judgement  `json:"last_judgement,omitempty"`
	Correction *Correction `json:"last_correction,omitempty"`
	Update     *Sent       `json:"last_update,omitempty"`
	// OpenLetters are the ids of dead letters that wait for somebody.
	OpenLetters []string  `json:"open_dead_letters,omitempty"`
	Capsules    []string  `json:"capsules,omitempty"`
	Warnings    []Warning `json:"warnings,omitempty"`
}

// Text is the explanation as one paragraph.
func (e *Explanation) Text() string { return e.Known + " " + e.Now + " " + e.Next }

// Explain says of a timeline what is known, who owns the job now, and what
// happens next and when.
func Explain(t *Timeline, now time.Time) Explanation {
	e := Explanation{JobID: t.JobID, At: now, Status: t.Status, Stop: t.Stop, Warnings: t.Warnings}
	e.Judgement, e.Correction, e.Update = last(t.Judgements), last(t.Corrections), last(t.Updates)
	for i := range t.Letters {
		if t.Letters[i].Open() {
			e.OpenLetters = append(e.OpenLetters, t.Letters[i].ID)
		}
	}
	for i := range t.Capsules {
		e.Capsules = append(e.Capsules, t.Capsules[i].Pod)
	}
	e.Known = e.known(t)
	switch s := &t.Status; {
	case !s.Known:
		e.unknown(t)
	case s.Terminal:
		e.over(s, now)
	default:
		e.goesOn(s, now)
	}
	if n := len(e.OpenLetters); n > 0 {
		e.letters(n)
	}
	return e
}

func last[T any](list []T) *T {
	if len(list) == 0 {
		return nil
	}
	return &list[len(list)-1]
}

// known is what is known, in one sentence.
func (e *Explanation) known(t *Timeline) string {
	s := &t.Status
	if !s.Known {
		if t.Cut.Stored == 0 && len(t.Letters) == 0 {
			return fmt.Sprintf("Nothing is on record about job %s.", t.JobID)
		}
		return fmt.Sprintf("Job %s has %s on record and no status yet.", t.JobID, count(t.Cut.Stored, "phase"))
	}
	text := fmt.Sprintf("Job %s %s", t.JobID, said(s))
	if s.Stage != "" {
		text += " in stage " + s.Stage
	}
	if s.Attempt > 1 {
		text += fmt.Sprintf(", attempt %d", s.Attempt)
	}
	if e.Stop != nil && e.Stop.Phase != "" {
		text += ", in phase " + clean(e.Stop.Phase, 128)
	}
	if !s.At.IsZero() {
		text += ", " + when(s.Terminal) + clock(s.At)
	}
	if c := e.cause(); c != "" {
		text += ": " + c
	}
	text += "."
	if s.Terminal {
		text += " " + restsOn(s)
	}
	return text
}

func (e *Explanation) cause() string {
	c := e.Status.Cause
	if c == nil && e.Status.State == "FAILED" && e.Stop != nil {
		c = e.Stop.Cause
	}
	if c == nil {
		return ""
	}
	text := phrase(c.Cause)
	if c.Container != "" {
		text += ", container " + clean(c.Container, 64)
	}
	if c.Pod != "" {
		text += " of pod " + clean(c.Pod, 64)
	}
	if c.ExitCode != nil {
		text += fmt.Sprintf(", exit code %d", *c.ExitCode)
	}
	if c.Message != "" {
		text += " (" + clean(c.Message, 300) + ")"
	}
	return text
}

// unknown is a job without a record.
func (e *Explanation) unknown(t *Timeline) {
	if t.Cut.Stored == 0 && len(t.Letters) == 0 {
		e.Owner = OwnerNobody
		e.Now = "Nobody has it: no service was told of a job with this id, or what was told has expired."
		e.Next = "Nothing happens until its first event comes; " +
			"a Kubernetes Job with its label and no record is found by recovery-job within the hour."
		return
	}
	e.Owner = OwnerPipeline
	e.Now = "Its first status event is still on its way, or died."
	e.Next = "Its record begins with that event; " +
		"if it never comes, recovery-job finds a labelled Kubernetes Job without a record within the hour."
}

// over is a job that ended.
func (e *Explanation) over(s *Status, now time.Time) {
	who := "its owner"
	if s.Owner != "" {
		who = clean(s.Owner, 128)
	}
	e.Owner = OwnerUser
	switch s.State {
	case "SUCCEEDED":
		e.Owner, e.Now = OwnerNobody, "Nobody has to act."
	case "CANCELLED":
		e.Now = fmt.Sprintf("It belongs to %s, whose wish or whose deletion ended it.", who)
	default:
		e.Now = fmt.Sprintf("It belongs to %s, who decides whether to run it again.", who)
	}
	if e.Update != nil && e.Update.Revision > 0 {
		e.Now += fmt.Sprintf(" The product was told last with revision %d (%s).", e.Update.Revision, e.Update.Kind)
	}
	switch {
	case e.resuming(s, now):
	case s.Final:
		e.Next = "Nothing more happens by itself: this end is final, and only a new attempt changes it."
	default:
		e.Next = "Nothing more happens by itself, but the verdict rests on silence: a sign of life corrects it, and its user is told."
	}
}

// goesOn is a job that has not ended.
func (e *Explanation) goesOn(s *Status, now time.Time) {
	e.Owner, e.Now = OwnerStage, fmt.Sprintf("Stage %s is working on it.", stage(s.Stage))
	switch {
	case e.resuming(s, now):
		return
	case s.Vanished:
		e.Owner = OwnerRecovery
		e.Now = "Its Kubernetes Job is gone and nobody saw how it ended, so recovery-job has it."
	case s.State == "SUSPENDED":
		e.Owner = OwnerUser
		e.Now = "It is suspended on purpose: whoever suspended it has it."
		e.Next = "It goes on when it is resumed, and no rule closes it meanwhile."
		return
	case s.Delayed:
		e.Owner = OwnerCluster
		e.Now = "It waits for room in the cluster" + because(s.DelayReason) + "."
	case s.StageDone:
		e.Now = fmt.Sprintf("Stage %s is done and the next has not spoken yet.", stage(s.Stage))
	case s.State == "PENDING":
		e.Now = fmt.Sprintf("Stage %s has it and has not begun.", stage(s.Stage))
	}
	e.nextCheck(s, now)
}

// resuming tells of a command of recovery that is on its way or has expired.
func (e *Explanation) resuming(s *Status, now time.Time) bool {
	r := s.Resume
	if r == nil || r.Until.IsZero() || r.Attempt != s.Attempt {
		return false
	}
	if now.Before(r.Until) {
		e.Owner, e.NextAt = OwnerStage, r.Until
		e.Now = fmt.Sprintf("The worker of stage %s has it: recovery-job has asked it to run the job again.", stage(s.Stage))
		e.Next = fmt.Sprintf("The worker begins attempt %d by %s; if it does not, recovery-job judges again.", s.Attempt+1, clock(r.Until))
		return true
	}
	if s.Terminal {
		return false
	}
	e.Owner = OwnerRecovery
	e.Now = fmt.Sprintf("Recovery-job has it: its command to run the job again expired at %s and no worker has begun.", clock(r.Until))
	e.nextCheck(s, now)
	return true
}

// nextCheck says when recovery looks.
func (e *Explanation) nextCheck(s *Status, now time.Time) {
	const does = "it closes or resumes the job only if a rule and the evidence say that it is stuck"
	switch {
	case s.CheckAfter.After(now):
		e.NextAt = s.CheckAfter
		e.Next = fmt.Sprintf("If nothing is heard before, recovery-job looks at it in its first run after %s; %s.", clock(s.CheckAfter), does)
	default:
		e.Next = fmt.Sprintf("Recovery-job looks at it in its next hourly run; %s.", does)
	}
	if j := e.Judgement; j != nil && j.Sentence != "" {
		e.Next += fmt.Sprintf(" When it last looked, at %s, it said: %s", clock(j.At), sentence(j.Sentence))
	}
}

// letters tells of dead letters that wait. Only for a job that stands still are
// they what it waits for.
func (e *Explanation) letters(n int) {
	verb := "waits"
	if n > 1 {
		verb = "wait"
	}
	e.Now += fmt.Sprintf(" %s about it %s for an operator in dlq-handler.", count(n, "dead letter"), verb)
	if e.Owner == OwnerPipeline {
		e.Owner = OwnerOperator
	}
}

func said(s *Status) string {
	switch s.State {
	case "SUCCEEDED", "FAILED":
		return strings.ToLower(s.State)
	case "CANCELLED":
		return "was cancelled"
	default:
		return "is " + strings.ToLower(s.State)
	}
}

func restsOn(s *Status) string {
	switch s.Evidence {
	case "CONDITION":
		return "That rests on the condition of its Kubernetes Job."
	case "STATED":
		return "That rests on the word of the stage or the user."
	case "OUTPUT":
		return "That rests on the output in its bucket."
	case "DELETED":
		return "That rests on the deletion of its Kubernetes Job before its end."
	case "ABSENCE":
		return "That rests on its absence from the cluster and the missing output."
	default:
		return "That is assumed, because nothing was heard of it for too long."
	}
}

func when(over bool) string {
	if over {
		return "at "
	}
	return "since "
}
