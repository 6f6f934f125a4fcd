// Package digest makes the one message that a run of recovery-job posts: counts
// by rule and verdict, the failures grouped by cause, and what needs a person.
//
// It only makes text. A run with nothing to tell makes none: that it ran shows in
// the log and in its heartbeat.
package digest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/envision/resiliency/pkg/notify"
	"github.com/envision/resiliency/services/recovery-job/internal/report"
)

const (
	// maxJobs is how many jobs are named for one cause or reason.
	maxJobs = 8
	// maxGroups is how many groups of a kind have their jobs named; of the others
	// only the number is told.
	maxGroups = 4
	// maxSentence cuts one job's sentence, in bytes.
	maxSentence = 240
)

// Of makes the digest of a run; false when there is nothing to tell.
func Of(r *report.Report) (notify.Digest, bool) {
	done, open, notes := sort(r)
	if len(done) == 0 && len(open) == 0 && len(notes) == 0 && r.State != report.Failed {
		return notify.Digest{}, false
	}
	d := notify.Digest{Key: r.RunID}
	d.Title = title(r, len(done), len(open))
	// Pages of jobs are phase-tracer's, at the configured public address.
	d.Link = "/jobs"
	d.Sections = append(d.Sections, state(r)...)
	if text := table(done); text != "" {
		d.Sections = append(d.Sections, "Done:\n"+text)
	}
	d.Sections = append(d.Sections, failures(done)...)
	d.Sections = append(d.Sections, groups("Not judged", open)...)
	d.Sections = append(d.Sections, groups("Needs a look", notes)...)
	d.Fields = []notify.Field{
		{Name: "Cluster", Value: r.Cluster}, {Name: "Run", Value: r.RunID},
		{Name: "Looked at", Value: fmt.Sprint(r.Looked)}, {Name: "Took", Value: r.EndedAt.Sub(r.StartedAt).Round(time.Second).String()},
	}
	return d, true
}

// sort tells apart what was done, what is left undone, and what was rightly left
// alone but is for people to know.
func sort(r *report.Report) (done, open, notes []*report.Item) {
	for i := range r.Items {
		it := &r.Items[i]
		switch {
		case it.Fate == report.FateWritten:
			done = append(done, it)
		case !it.Fate.Settled():
			open = append(open, it)
		case it.Notable():
			notes = append(notes, it)
		}
	}
	return done, open, notes
}

func title(r *report.Report, done, open int) string {
	var parts []string
	if n := r.Counts[string(report.FateWithheld)]; n > 0 {
		parts = append(parts, fmt.Sprintf("%d verdicts WITHHELD", n))
		open -= n
	}
	if r.State == report.Failed {
		parts = append(parts, "run FAILED")
	}
	parts = append(parts, fmt.Sprintf("%d jobs settled", done))
	if open > 0 {
		parts = append(parts, fmt.Sprintf("%d not judged", open))
	}
	return "Recovery: " + strings.Join(parts, ", ")
}

// state says what is wrong with the run as a whole.
func state(r *report.Report) []string {
	var out []string
	if n := r.Counts[string(report.FateWithheld)]; n > 0 {
		out = append(out, fmt.Sprintf("This run would have failed %d of %d jobs because nothing of them is there. More likely is a fault "+
			"of ours: look at the cluster and the bucket. If they are right, run `recovery-job run --confirm-mass-failure`.", n, r.Looked))
	}
	if r.State != report.Done {
		out = append(out, fmt.Sprintf("The run did not come to its end (%s): %s. The next one goes on from there.", r.State, r.Error))
	}
	if r.Silent != "" {
		out = append(out, "Nothing was concluded from silence: "+r.Silent+".")
	}
	return out
}

// table counts what was done by rule and verdict.
func table(items []*report.Item) string {
	counts := map[string]int{}
	for _, it := range items {
		verdict := it.Action
		if it.Verdict != "" {
			verdict += " " + it.Verdict
		}
		if it.Evidence != "" {
			verdict += " (" + it.Evidence + ")"
		}
		counts[cmp.Or(it.Rule, "no rule")+": "+verdict]++
	}
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		lines = append(lines, fmt.Sprintf("• %s: %d", name, counts[name]))
	}
	return strings.Join(lines, "\n")
}

// failures are the jobs that were failed, a section for each cause.
func failures(done []*report.Item) []string {
	by := map[string][]*report.Item{}
	for _, it := range done {
		if it.Verdict == "FAILED" {
			by[cmp.Or(it.Cause, "no cause known")] = append(by[cmp.Or(it.Cause, "no cause known")], it)
		}
	}
	return sections(by, func(name string, n int) string { return fmt.Sprintf("Failed, %s: %d", name, n) })
}

// groups are other jobs, a section for each reason.
func groups(what string, items []*report.Item) []string {
	by := map[string][]*report.Item{}
	for _, it := range items {
		by[it.Reason] = append(by[it.Reason], it)
	}
	return sections(by, func(name string, n int) string { return fmt.Sprintf("%s, %s: %d", what, name, n) })
}

// sections lists groups, the largest first.
func sections(by map[string][]*report.Item, head func(name string, n int) string) []string {
	names := slices.SortedFunc(maps.Keys(by), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(by[b]), len(by[a])), cmp.Compare(a, b))
	})
	var out []string
	for i, name := range names {
		if i == maxGroups {
			var rest []string
			for _, name := range names[i:] {
				rest = append(rest, head(name, len(by[name])))
			}
			out = append(out, "… and "+strings.Join(rest, "; ")+". The run's log has all.")
			break
		}
		lines := []string{head(name, len(by[name]))}
		for n, it := range by[name] {
			if n == maxJobs {
				lines = append(lines, fmt.Sprintf("… and %d more", len(by[name])-n))
				break
			}
			lines = append(lines, "• "+line(it))
		}
		out = append(out, strings.Join(lines, "\n"))
	}
	return out
}

// line is one job, in its rule's words where it has some.
func line(it *report.Item) string {
	text := cmp.Or(it.Developers, it.Sentence)
	if it.Error != "" {
		text += " (" + it.Error + ")"
	}
	if !strings.Contains(text, it.JobID) {
		text = it.JobID + ": " + text
	}
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxSentence {
		text = strings.ToValidUTF8(text[:maxSentence], "") + "…"
	}
	return text
}
