package jobevent

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/envision/resiliency/pkg/job"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

const updater = resiliencyv1.Source_SOURCE_STATUS_UPDATER

// say is a claim at a second, in words.
type say struct {
	state    job.State
	second   int
	evidence job.Evidence
	cause    job.Cause
	attempt  int32
	uid      string
	kind     job.Kind
	delayed  bool
}

func (s say) observation() job.Observation {
	o := job.Observation{
		JobID: "j-17", Attempt: max(s.attempt, 1), Ordinal: 30, Stage: "kubernetes",
		OccurredAt: now.Add(time.Duration(s.second) * time.Second),
		Kind:       max(s.kind, job.KindStatus), State: s.state, Evidence: s.evidence,
		Cause:      job.CauseDetail{Cause: s.cause, Message: "said so"},
		Kubernetes: job.Kubernetes{UID: "u" + s.uid, CreatedAt: now.Add(time.Duration(len(s.uid)) * time.Second)},
		Delayed:    s.delayed, DelayReason: "0/3 nodes are available",
	}
	if job.Terminal(s.state) && s.evidence == 0 {
		o.Evidence = job.EvidenceCondition
	}
	return o
}

func TestUpdate_kinds(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		told []say
		// want is the kind of update of each claim, "" for none.
		want []string
	}{
		{"a usual life", []say{{state: job.StatePending}, {state: job.StateRunning, second: 1}, {state: job.StateSucceeded, second: 2}},
			[]string{"", "running", "succeeded"}},
		{"nobody saw it run", []say{{state: job.StateFailed, second: 2}}, []string{"failed"}},
		{"cancelled", []say{{state: job.StateCancelled, second: 2}}, []string{"cancelled"}},
		{"suspended and resumed", []say{{state: job.StateRunning}, {state: job.StateSuspended, second: 1}, {state: job.StateRunning, second: 2}},
			[]string{"running", "", "resumed"}},
		{"resumed, and its pods are made anew", []say{{state: job.StateSuspended}, {state: job.StatePending, second: 1}, {state: job.StateRunning, second: 2}},
			[]string{"", "resumed", "running"}},
		{"a better cause is no second end", []say{{state: job.StateFailed, cause: job.CauseBackoffLimit}, {kind: job.KindCause, cause: job.CauseOOM}},
			[]string{"failed", ""}},
		{"stronger evidence is no second end", []say{{state: job.StateFailed, evidence: job.EvidenceAbsence}, {state: job.StateFailed, second: 1}},
			[]string{"failed", ""}},
		{"reopened by a sign of life, then done", []say{{state: job.StateFailed, evidence: job.EvidenceAbsence}, {state: job.StateRunning, second: 1}, {state: job.StateSucceeded, second: 2}},
			[]string{"failed", "resumed", "succeeded"}},
		{"a wrong end is corrected", []say{{state: job.StateFailed, evidence: job.EvidenceAbsence}, {state: job.StateSucceeded, second: 1}},
			[]string{"failed", "corrected"}},
		{"a rerun", []say{{state: job.StateFailed}, {state: job.StatePending, attempt: 2}, {state: job.StateRunning, attempt: 2, second: 1}, {state: job.StateFailed, attempt: 2, second: 2}},
			[]string{"failed", "resumed", "running", "failed"}},
		{"two runs end alike", []say{{state: job.StateFailed}, {state: job.StateFailed, attempt: 2}},
			[]string{"failed", "failed"}},
		{"a Job made anew ends alike", []say{{state: job.StateFailed}, {state: job.StateFailed, uid: "2"}},
			[]string{"failed", "failed"}},
		{"delayed, then room", []say{{state: job.StatePending}, {kind: job.KindDelay, delayed: true, second: 1}, {state: job.StateRunning, second: 2}},
			[]string{"", "delayed", "resumed"}},
		{"late and repeated words say nothing", []say{{state: job.StateSucceeded, second: 3}, {state: job.StateSucceeded, second: 3}, {state: job.StateRunning, second: 1}},
			[]string{"succeeded", "", ""}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var r job.Record
			for i, s := range c.told {
				before := r
				o := s.observation()
				r.Apply(&o)
				u := Update(&before, &r, int64(i+1), updater)
				if got := kindOf(u); got != c.want[i] {
					t.Errorf("claim %d: update %q, want %q", i, got, c.want[i])
				}
				checkUpdate(t, u, &r)
			}
		})
	}
}

func kindOf(u *resiliencyv1.JobUpdate) string {
	if u == nil {
		return ""
	}
	m := u.ProtoReflect()
	field := m.WhichOneof(m.Descriptor().Oneofs().ByName(protoreflect.Name("event")))
	if field == nil {
		return "none"
	}
	return string(field.Name())
}

func checkUpdate(t *testing.T, u *resiliencyv1.JobUpdate, r *job.Record) {
	t.Helper()
	if u == nil {
		return
	}
	if err := CheckHead(u, now.Add(time.Hour)); err != nil {
		t.Errorf("the update breaks the contract: %v", err)
	}
	if u.GetState() != r.View().State || !strings.HasPrefix(u.GetText(), "Job j-17") || !strings.HasSuffix(u.GetText(), ".") {
		t.Errorf("update %v with text %q for state %v", u.GetState(), u.GetText(), r.View().State)
	}
}

func TestUpdate_isDeterministic(t *testing.T) {
	t.Parallel()
	var before, after job.Record
	o := say{state: job.StateFailed, cause: job.CauseOOM}.observation()
	after.Apply(&o)
	a, b := Update(&before, &after, 7, updater), Update(&before, &after, 7, updater)
	if !proto.Equal(a, b) {
		t.Errorf("one change gives two updates: %v and %v", a, b)
	}
	if other := Update(&before, &after, 8, updater); other.GetEventId() == a.GetEventId() {
		t.Error("two revisions share an id")
	}
	const want = "Job j-17 failed: a container needed more memory than its limit (said so)."
	if a.GetText() != want {
		t.Errorf("text %q, want %q", a.GetText(), want)
	}
}

func TestUpdate_saysEveryCause(t *testing.T) {
	t.Parallel()
	for n := range resiliencyv1.Cause_name {
		c := job.Cause(n)
		if c == job.CauseUnspecified || c == job.CauseOther {
			continue
		}
		if causePhrase(c) == "" {
			t.Errorf("no words for %s: the user would not learn why", job.CauseName(c))
		}
	}
}

func TestCorrection(t *testing.T) {
	t.Parallel()
	var r job.Record
	told := []say{{state: job.StateFailed, evidence: job.EvidenceAbsence}, {state: job.StateSucceeded, second: 1}, {state: job.StatePending, attempt: 2}}
	var got []string
	for i, s := range told {
		before := r
		o := s.observation()
		r.Apply(&o)
		if p := Correction(&before, &r, int64(i+1), updater); p != nil {
			c := p.GetCorrected()
			got = append(got, fmt.Sprintf("%d: %s to %s", i, job.StateName(c.GetFromState()), job.StateName(c.GetToState())))
		}
	}
	if len(got) != 1 || got[0] != "1: FAILED to SUCCEEDED" {
		t.Errorf("corrections %v, want the one of claim 1", got)
	}
}
