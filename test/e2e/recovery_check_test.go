//go:build integration

package e2e

import (
	"cmp"
	"fmt"
	"strings"
	"sync"

	"cloud.google.com/go/firestore"

	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// outcomes are what was seen, over all parts of the matrix.
type outcomes struct {
	mu   sync.Mutex
	seen map[string]bool
	// cases are the different ones: two jobs that meet the same are one.
	cases map[string]bool
	parts int
}

func (r *outcomes) add(reason, of string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen[reason], r.cases[of] = true, true
}

// matrix compares one run with what its cases want.
type matrix struct {
	*world

	run    *recovered
	cases  []recoveryCase
	before map[string]*firestore.DocumentSnapshot
	after  map[string]*firestore.DocumentSnapshot
	told   *sent
	// pubsub is "down" where it is.
	pubsub string
}

func (m *matrix) check(seen *outcomes) {
	m.t.Helper()
	m.after = m.snapshot()
	digest := m.digest(m.run.report.RunID)
	for i := range m.cases {
		c := &m.cases[i]
		it := m.run.item(c.id)
		m.t.Logf("%s %-4s -> %-12s %-20s %-9s %s", c, m.pubsub, it.Action, it.Reason, it.Fate, it.Sentence)
		m.checkItem(c, &it)
		m.checkRecord(c)
		m.checkTold(c)
		m.checkDigest(c, digest)
		if it.Reason != "" {
			seen.add(it.Reason, c.String()+m.pubsub)
		}
	}
	if m.t.Failed() {
		m.t.Logf("digest:\n%s\nlog:\n%s", digest, m.run.Stderr)
	}
	m.checkRun()
}

// rule is the one that owns the job.
func (c *recoveryCase) rule() string {
	switch {
	case c.want.reason == "NO_RULE", c.want.reason == "NO_RECORD", c.want.reason == "RECORD_UNREADABLE":
		return ""
	case c.want.rule != "":
		return c.want.rule
	default:
		return strings.TrimSuffix(c.stage, "-z")
	}
}

func (m *matrix) checkItem(c *recoveryCase, it *recoveryItem) {
	m.t.Helper()
	want := recoveryItem{
		JobID: c.id, Rule: c.rule(), Action: c.want.action, Reason: c.want.reason, Fate: c.want.fate,
		Verdict: c.want.state, Evidence: c.want.evidence, Cause: c.want.cause, Sentence: it.Sentence,
	}
	if c.want.action == "" {
		want = recoveryItem{} // a run has nothing to say of it
	}
	if *it != want {
		m.t.Errorf("%s: judged %+v, want %+v", c.id, *it, want)
	}
}

// checkRecord looks at the job's document: the verdict with its evidence and one
// revision more, or nothing at all.
func (m *matrix) checkRecord(c *recoveryCase) {
	m.t.Helper()
	before, after := m.before[c.id], m.after[c.id]
	if after == nil {
		m.t.Errorf("%s: has no record", c.id)
		return
	}
	if c.want.reason == "NO_RECORD" {
		if before != nil || field[string](after, "state") != "RUNNING" || field[string](after, "kubernetes.name") != c.id {
			m.t.Errorf("%s: record was made as %v", c.id, after.Data())
		}
		return
	}
	if !c.want.written() {
		m.checkUnchanged(c, before, after)
		return
	}
	if was, is := field[int64](before, "revision"), field[int64](after, "revision"); is != was+1 {
		m.t.Errorf("%s: revision %d after %d", c.id, is, was)
	}
	state := cmp.Or(c.want.record, c.want.state, field[string](before, "state"))
	if is := field[string](after, "state"); is != state {
		m.t.Errorf("%s: record says %s, want %s", c.id, is, state)
	}
	if is := field[string](after, "cause"); is != c.want.cause {
		m.t.Errorf("%s: record gives cause %q, want %q", c.id, is, c.want.cause)
	}
	if c.want.evidence != "" {
		evidence, detail := field[string](after, "verdict.evidence"), field[string](after, "verdict.detail")
		// What the cluster itself says needs no reason of ours.
		ours := c.want.evidence != "CONDITION"
		if evidence != c.want.evidence || detail == "" || ours && !strings.Contains(detail, "("+c.want.reason+")") {
			m.t.Errorf("%s: verdict rests on %s, %q; want %s by %s", c.id, evidence, detail, c.want.evidence, c.want.reason)
		}
	}
	if delayed := field[bool](after, "delayed"); delayed != (c.want.action == "delay") {
		m.t.Errorf("%s: delayed is %v (%s)", c.id, delayed, field[string](after, "delay_reason"))
	}
	resumes := field[int64](before, "recovery.resumes")
	if c.want.action == "resume" {
		resumes++
	}
	if is := field[int64](after, "recovery.resumes"); is != resumes {
		m.t.Errorf("%s: %d resumes, want %d", c.id, is, resumes)
	}
}

// checkUnchanged expects that at most the next look was moved, and of a job
// that could not be judged not even that.
func (m *matrix) checkUnchanged(c *recoveryCase, before, after *firestore.DocumentSnapshot) {
	m.t.Helper()
	if c.want.fate != "left" && !after.UpdateTime.Equal(before.UpdateTime) {
		m.t.Errorf("%s: its record was written", c.id)
	}
	was, is := before.Data(), after.Data()
	delete(was, "check_after")
	delete(is, "check_after")
	if fmt.Sprint(was) != fmt.Sprint(is) {
		m.t.Errorf("%s: its record was changed from %v to %v", c.id, was, is)
	}
}

// checkTold looks for the update, the phase and the command, and for nothing
// beside them.
func (m *matrix) checkTold(c *recoveryCase) {
	m.t.Helper()
	m.told.mu.Lock()
	defer m.told.mu.Unlock()
	after := m.after[c.id]
	var kinds []string
	for _, u := range m.told.updates[c.id] {
		kinds = append(kinds, kindOf(u))
		if u.GetSource() != resiliencyv1.Source_SOURCE_RECOVERY_JOB || u.GetRevision() != field[int64](after, "revision") || u.GetText() == "" {
			m.t.Errorf("%s: update %v", c.id, u)
		}
	}
	if got := strings.Join(kinds, ","); got != c.want.update {
		m.t.Errorf("%s: its user was told %q, want %q", c.id, got, c.want.update)
	}
	phases := m.told.phases[c.id]
	if !c.want.written() || c.want.reason == "NO_RECORD" {
		if len(phases) > 0 {
			m.t.Errorf("%s: phases %v", c.id, phases)
		}
	} else if len(phases) != 1 || !c.tells(phases[0], m.run.report.RunID) {
		m.t.Errorf("%s: phases %v", c.id, phases)
	}
	commands := m.told.commands[c.id]
	if c.want.action != "resume" {
		if len(commands) > 0 {
			m.t.Errorf("%s: commands %v", c.id, commands)
		}
		return
	}
	if len(commands) != 1 || commands[0].GetExpectedAttempt() != c.ran() || commands[0].GetResumeRequested().GetNewAttempt() != c.ran()+1 ||
		commands[0].GetStage().GetName() != c.stage || !commands[0].GetNotAfter().AsTime().After(commands[0].GetOccurredAt().AsTime()) {
		m.t.Errorf("%s: commands %v", c.id, commands)
	}
}

func (c *recoveryCase) tells(p *resiliencyv1.PhaseEvent, runID string) bool {
	judged := p.GetRecoveryJudged()
	return judged.GetRunId() == runID && p.GetDetails()["reason"] == c.want.reason && p.GetDetails()["action"] == c.want.action &&
		judged.GetRule() == c.rule() && judged.GetReasoning() != "" && p.GetSource() == resiliencyv1.Source_SOURCE_RECOVERY_JOB
}

// checkDigest looks for the job's line: what was done is counted by rule and
// verdict, failures, what could not be judged and what people have to look at are
// named, or counted where there are many kinds.
func (m *matrix) checkDigest(c *recoveryCase, digest string) {
	m.t.Helper()
	if c.want.action == "" || c.want.fate == "left" && !c.want.told {
		for line := range strings.Lines(digest) {
			if strings.HasPrefix(line, "• ") && strings.Contains(line, c.id+":") {
				m.t.Errorf("%s: the digest tells of it: %s", c.id, line)
			}
		}
		return
	}
	if line := c.doneLine(); c.want.written() {
		if want := fmt.Sprintf("• %s: %d\n", line, m.count(func(o *recoveryCase) bool { return o.want.written() && o.doneLine() == line })); !strings.Contains(digest, want) {
			m.t.Errorf("%s: the digest lacks %q", c.id, want)
		}
	}
	head := c.head()
	if head == "" {
		return
	}
	want := fmt.Sprintf("%s: %d", head, m.count(func(o *recoveryCase) bool { return o.head() == head }))
	_, section, named := strings.Cut(digest, want+"\n")
	section, _, _ = strings.Cut(section, "\n\n")
	if !strings.Contains(digest, want) || named && !strings.Contains(section, c.id) && !strings.Contains(section, "… and ") {
		m.t.Errorf("%s: the digest does not name it under %q", c.id, want)
	}
}

// doneLine is how the digest counts what was done.
func (c *recoveryCase) doneLine() string {
	rule := c.rule()
	if rule == "" {
		rule = "no rule"
	}
	line := rule + ": " + c.want.action
	if c.want.state != "" {
		line += " " + c.want.state
	}
	if c.want.evidence != "" {
		line += " (" + c.want.evidence + ")"
	}
	return line
}

// head is that of the section in which the digest names the job, "" for none.
func (c *recoveryCase) head() string {
	switch {
	case c.want.written() && c.want.state == "FAILED":
		return "Failed, " + c.want.cause
	case c.want.fate == "unjudged", c.want.fate == "withheld":
		return "Not judged, " + c.want.reason
	case c.want.fate == "left" && c.want.told:
		return "Needs a look, " + c.want.reason
	default:
		return ""
	}
}

func (m *matrix) count(is func(*recoveryCase) bool) int {
	n := 0
	for i := range m.cases {
		if is(&m.cases[i]) {
			n++
		}
	}
	return n
}

// checkPlan expects that the plan made before said of every job what the run then
// did.
func (m *matrix) checkPlan(plan *recovered) {
	m.t.Helper()
	for i := range m.cases {
		id := m.cases[i].id
		planned, done := plan.item(id), m.run.item(id)
		if done.Fate == "written" {
			done.Fate = "planned"
		}
		planned.Sentence, done.Sentence = "", "" // they tell the time
		if planned != done {
			m.t.Errorf("%s: planned %+v, done %+v", id, planned, done)
		}
	}
}

// checkRun looks at what is on record of the run itself.
func (m *matrix) checkRun() {
	m.t.Helper()
	doc := m.runRecord(m.run.report.RunID)
	counts, _ := doc["reasons"].(map[string]any)
	for reason := range counts {
		if reason == "STORE" {
			continue // it is no job's
		}
		want := m.count(func(c *recoveryCase) bool { return c.want.reason == reason })
		if counts[reason] != int64(want) {
			m.t.Errorf("the record of the run counts %v jobs of reason %s, want %d", counts[reason], reason, want)
		}
	}
	if doc["state"] != m.run.report.State || len(counts) == 0 {
		m.t.Errorf("record of the run: %v", doc)
	}
}
