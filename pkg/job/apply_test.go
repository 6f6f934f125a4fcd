package job

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

func TestRecord_Apply_outcomes(t *testing.T) {
	t.Parallel()
	var r Record
	steps := []struct {
		name  string
		claim Observation
		want  Outcome
	}{
		{"first word", claim(StateRunning, 1), OutcomeApplied},
		{"the same again", claim(StateRunning, 1), OutcomeDuplicate},
		{"the same by the other witness", claim(StateRunning, 1, told(resiliencyv1.Source_SOURCE_LOG_WITNESS)), OutcomeDuplicate},
		{"an earlier word", claim(StatePending, 0), OutcomeStale},
		{"a verdict from silence", claim(StateFailed, 5, by(EvidenceAbsence), because(CauseLost)), OutcomeApplied},
		{"a sign of life takes it back", claim(StateRunning, 6), OutcomeCorrected},
		{"the end", claim(StateFailed, 7, because(CauseBackoffLimit)), OutcomeApplied},
		{"a better cause", claim(0, 6, kind(KindCause), because(CauseOOM)), OutcomeApplied},
		{"a worse cause", claim(0, 6, kind(KindCause), because(CauseAppExit)), OutcomeStale},
		{"the Job made anew", claim(StatePending, 8, life("u2", 8)), OutcomeApplied},
		{"the rerun", claim(StatePending, 9, attempt(2)), OutcomeApplied},
		{"late news of the first run", claim(StateRunning, 20), OutcomeStale},
	}
	for _, s := range steps {
		if got := r.Apply(&s.claim); got != s.want {
			t.Errorf("%s: %s, want %s", s.name, got, s.want)
		}
	}
}

func TestOf_keepsWhatCanBeStored(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("east", 3600)
	o := claim(StateFailed, 1, because(CauseOther), messaged(strings.Repeat("é", MaxMessageBytes)),
		detailed(strings.Repeat("x", 2*MaxDetailBytes)), owned("a\xffb"))
	o.OccurredAt = time.Date(2026, 3, 1, 13, 0, 0, 123456789, zone)
	r := Of(&o)
	if want := time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC); r.Status.OccurredAt != want {
		t.Errorf("time %v, want %v", r.Status.OccurredAt, want)
	}
	if n := len(r.Cause.Message); n > MaxMessageBytes || n < MaxMessageBytes-1 || !utf8.ValidString(r.Cause.Message) {
		t.Errorf("message of %d bytes, valid=%v", n, utf8.ValidString(r.Cause.Message))
	}
	if n := len(r.Status.Detail); n != MaxDetailBytes {
		t.Errorf("detail of %d bytes, want %d", n, MaxDetailBytes)
	}
	if r.Owner.Value != "a\uFFFDb" {
		t.Errorf("owner %q", r.Owner.Value)
	}
}

func TestSpecificity_isInjective(t *testing.T) {
	t.Parallel()
	seen := map[int]Cause{}
	for n := range resiliencyv1.Cause_name {
		c := Cause(n)
		rank := Specificity(c)
		if other, dup := seen[rank]; dup {
			t.Errorf("%s and %s share rank %d: two records could keep different causes", CauseName(c), CauseName(other), rank)
		}
		if (rank == 0) != (c == CauseUnspecified) {
			t.Errorf("%s has rank %d", CauseName(c), rank)
		}
		seen[rank] = c
	}
}

func TestEventID_dependsOnEachPartAlone(t *testing.T) {
	t.Parallel()
	const want = "710c3002-f021-5c8e-818e-095eabdc2b13"
	ids := map[string][]string{}
	for _, parts := range [][]string{{"ab", "c"}, {"a", "bc"}, {"abc"}, {"abc", ""}, {"1:a"}, {"a"}, {}} {
		id := EventID(parts...)
		if other, dup := ids[id]; dup {
			t.Errorf("%q and %q share id %s", parts, other, id)
		}
		ids[id] = parts
	}
	at := time.Date(2026, 3, 1, 13, 0, 0, 5000, time.FixedZone("east", 3600))
	if got := EventID("cluster", "uid", "RUNNING", TimePart(at)); got != want {
		t.Errorf("id %s, want %s: ids must never change, or a replayed message looks like news", got, want)
	}
}

func TestNames_roundTrip(t *testing.T) {
	t.Parallel()
	for n := range resiliencyv1.JobState_name {
		if got, err := ParseState(StateName(State(n))); err != nil || got != State(n) {
			t.Errorf("state %d: %v, %v", n, got, err)
		}
	}
	for n := range resiliencyv1.Cause_name {
		if got, err := ParseCause(CauseName(Cause(n))); err != nil || got != Cause(n) {
			t.Errorf("cause %d: %v, %v", n, got, err)
		}
	}
	for n := range resiliencyv1.Evidence_name {
		if got, err := ParseEvidence(EvidenceName(Evidence(n))); err != nil || got != Evidence(n) {
			t.Errorf("evidence %d: %v, %v", n, got, err)
		}
	}
	for n := range resiliencyv1.Source_name {
		if got, err := ParseSource(SourceName(Source(n))); err != nil || got != Source(n) {
			t.Errorf("source %d: %v, %v", n, got, err)
		}
	}
	if _, err := ParseState("ASLEEP"); err == nil {
		t.Error("an unknown state was read")
	}
}

//nolint:paralleltest // allocations are counted over the whole process
func TestCut_keeps_no_more_in_memory_than_it_returns(t *testing.T) {
	long := strings.Repeat("é", 50_000)
	if n := testing.AllocsPerRun(10, func() { long = Cut(long, len(long)-1) }); n < 1 {
		t.Error("what was cut is a part of the long text, which cannot be freed while it is there")
	}
	short := "short"
	if n := testing.AllocsPerRun(10, func() { short = Cut(short, 10) }); n > 0 {
		t.Errorf("a text that is short enough is copied (%v allocations)", n)
	}
}
