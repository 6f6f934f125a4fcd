package digest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/envision/resiliency/pkg/notify"
	"github.com/envision/resiliency/services/recovery-job/internal/digest"
	"github.com/envision/resiliency/services/recovery-job/internal/report"
)

var began = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

func run(items ...report.Item) *report.Report {
	r := &report.Report{
		RunID: "r-1", Cluster: "main", State: report.Done, Looked: 40, StartedAt: began, EndedAt: began.Add(90 * time.Second),
		Counts: map[string]int{}, Reasons: map[string]int{},
	}
	for i := range items {
		r.Count(&items[i])
	}
	return r
}

func failed(id, cause string) report.Item {
	return report.Item{
		JobID: id, Rule: "kubernetes", Action: "fail", Verdict: "FAILED", Evidence: "ABSENCE", Cause: cause, Reason: "GONE",
		Sentence: "nothing is there", Fate: report.FateWritten,
	}
}

func TestOf_SilentWithNothingToTell(t *testing.T) {
	t.Parallel()
	alive := report.Item{JobID: "j", Action: "leave", Reason: "RUNNING", Fate: report.FateLeft}
	moved := report.Item{JobID: "k", Action: "fail", Reason: "GONE", Fate: report.FateMoved}
	for _, r := range []*report.Report{run(), run(alive, moved)} {
		if d, some := digest.Of(r); some {
			t.Errorf("told %+v", d)
		}
	}
}

func TestOf_TellsWhatWasDoneAndWhatIsLeft(t *testing.T) {
	t.Parallel()
	r := run(
		failed("j-1", "LOST"), failed("j-2", "LOST"), failed("j-3", "SILENT"),
		report.Item{JobID: "j-4", Rule: "backend", Action: "resume", Reason: "RESUME", Fate: report.FateWritten},
		report.Item{JobID: "j-5", Action: "cannot judge", Reason: "OUTPUT_REFUSED", Sentence: "403", Fate: report.FateUnjudged, Attention: true},
		report.Item{JobID: "j-6", Rule: "kubernetes", Action: "leave", Reason: "RUNNING_LONG", Fate: report.FateLeft, Attention: true,
			Sentence: "s", Developers: "j-6 (ana): runs for\n three days"},
		report.Item{JobID: "j-7", Action: "delay", Reason: "ROOM", Fate: report.FateFailed, Error: "no answer", Sentence: "no room"},
		report.Item{JobID: "j-8", Action: "leave", Reason: "PIPELINE_SILENT", Fate: report.FateLeft, Sentence: "cannot be resumed"},
	)
	d, some := digest.Of(r)
	want := notify.Digest{Key: "r-1", Content: notify.Content{
		Title: "Recovery: 4 jobs settled, 2 not judged", Link: "/jobs",
		Sections: []string{
			"Done:\n• backend: resume: 1\n• kubernetes: fail FAILED (ABSENCE): 3",
			"Failed, LOST: 2\n• j-1: nothing is there\n• j-2: nothing is there",
			"Failed, SILENT: 1\n• j-3: nothing is there",
			"Not judged, OUTPUT_REFUSED: 1\n• j-5: 403",
			"Not judged, ROOM: 1\n• j-7: no room (no answer)",
			"Needs a look, PIPELINE_SILENT: 1\n• j-8: cannot be resumed",
			"Needs a look, RUNNING_LONG: 1\n• j-6 (ana): runs for three days",
		},
		Fields: []notify.Field{{Name: "Cluster", Value: "main"}, {Name: "Run", Value: "r-1"}, {Name: "Looked at", Value: "40"}, {Name: "Took", Value: "1m30s"}},
	}}
	if diff := cmp.Diff(want, d); diff != "" || !some {
		t.Errorf("digest (-want +got):\n%s", diff)
	}
}

func TestOf_AlarmsComeFirst(t *testing.T) {
	t.Parallel()
	withheld := failed("j-1", "LOST")
	withheld.Action, withheld.Reason, withheld.Fate, withheld.Attention = "withheld", "MASS_FAILURE", report.FateWithheld, true
	d, some := digest.Of(run(withheld))
	if !some || d.Title != "Recovery: 1 verdicts WITHHELD, 0 jobs settled" || !strings.Contains(d.Sections[0], "--confirm-mass-failure") {
		t.Errorf("digest %+v", d)
	}
	broken := run()
	broken.State, broken.Error, broken.Silent = report.Failed, "no database", "Pub/Sub cannot be reached"
	d, some = digest.Of(broken)
	if !some || !strings.Contains(d.Title, "FAILED") || !strings.Contains(strings.Join(d.Sections, "\n"), "no database") {
		t.Errorf("digest %+v", d)
	}
}

// A thousand failures are one message of bounded size.
func TestOf_IsBounded(t *testing.T) {
	t.Parallel()
	r := run()
	for i := range 1000 {
		it := failed(fmt.Sprintf("j-%04d", i), fmt.Sprintf("CAUSE_%d", i%9))
		it.Sentence = strings.Repeat("é", 400)
		r.Count(&it)
		it.Fate, it.Reason = report.FateUnjudged, fmt.Sprintf("REASON_%d", i%9)
		r.Count(&it)
	}
	d, _ := digest.Of(r)
	total := 0
	for _, s := range d.Sections {
		total += len(s)
	}
	if len(d.Sections) > 20 || total > 32<<10 || !strings.Contains(strings.Join(d.Sections, "\n"), "and 104 more") ||
		!strings.Contains(strings.Join(d.Sections, "\n"), "Not judged, REASON_4: 111; Not judged, REASON_5: 111") {
		t.Errorf("%d sections, %d bytes:\n%s", len(d.Sections), total, d.Sections[1])
	}
}
