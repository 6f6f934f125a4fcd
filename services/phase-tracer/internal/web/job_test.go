package web_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/envision/resiliency/pkg/resilience"
)

// One look says where and why: the first things on the page of a failed job.
func TestJob_SaysWhereAndWhy(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.lines["render-7"] = build(failedStory())
	p := f.page(t, "/jobs/render-7")
	says(t, p.id(t, "state"), "FAILED")
	says(t, p.id(t, "known"), "Job render-7 failed in stage kubernetes, in phase render", "out of memory", "the condition of its Kubernetes Job")
	says(t, p.id(t, "now"), "ana@example.com", "1 dead letter about it waits")
	says(t, p.id(t, "next"), "final")
	says(t, p.id(t, "stop"), "Where it stopped", "render", "✕ failed", "OOM", "exit code 137", "node node-4")
	says(t, p.id(t, "capsules"), "Pod render-7-x2k9p on node node-4", "frame 1811 of 2400 allocate 512 MiB: killed", `"reason": "OOMKilled"`,
		"there were more before", "OOMKilling", "Memory cgroup out of memory")
	says(t, p.id(t, "facts"), "BackoffLimitExceeded", "EVENT_STREAMER", "LOG_WITNESS witness-0")
	says(t, p.id(t, "letters"), "commit job render-7: contention")
	says(t, p.id(t, "updates"), "Your job failed: it ran out of memory.", "failed")
	if got := p.id(t, "evidence").attr("data-evidence"); got != "CONDITION" {
		t.Errorf("evidence %q", got)
	}
	if link := p.id(t, "letters").all("a")[0].attr("href"); link != "https://letters.example.com/letters/l-abcdef0123" {
		t.Errorf("the letter leads to %s", link)
	}
	if p.id(t, "job").attr("data-follow") != "" {
		t.Error("a job that is over is followed")
	}
}

// The phases come in the order of stages, and each bar leads to its row in the
// table, which says the same in words.
func TestJob_Waterfall(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.lines["render-7"] = build(failedStory())
	p := f.page(t, "/jobs/render-7")
	var stages, names []string
	for _, lane := range p.class("lane") {
		stages = append(stages, lane.attr("data-stage"))
		for _, row := range lane.class("row") {
			link := row.all("a")[0]
			target := p.id(t, strings.TrimPrefix(link.attr("href"), "#"))
			if target.attr("data-phase") != link.text() || target.attr("data-state") != row.attr("data-state") {
				t.Errorf("%s leads to %s, which is %s", link.text(), target.attr("data-phase"), target.attr("data-state"))
			}
			names = append(names, link.text())
		}
	}
	if want := []string{"backend", "face-detection", "kubernetes"}; !slices.Equal(stages, want) {
		t.Errorf("stages %v, want %v", stages, want)
	}
	want := []string{
		"receive-upload", "split-frames", "load-model", "detect", "pod.scheduled", "render", "pod.failed", "job.condition.Failed",
	}
	if !slices.Equal(names, want) {
		t.Errorf("phases %v, want %v", names, want)
	}
	stop := p.class("stop")
	if len(stop) != 1 || !strings.Contains(stop[0].text(), "render ✕ failed 3m 5s") || len(stop[0].class("hatch")) != 1 {
		t.Errorf("where it stopped is not marked: %d rows", len(stop))
	}
	for _, text := range p.class("axis")[0].all("text") {
		if text.text() != "Nov 21" && !strings.HasPrefix(text.text(), "10:") {
			t.Errorf("the axis has a tick %q", text.text())
		}
	}
}

func TestJob_Running(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.lines["render-7"] = build(runningStory())
	p := f.page(t, "/jobs/render-7")
	if p.id(t, "job").attr("data-follow") != "/api/jobs/render-7/events" || p.id(t, "refresh").attr("href") != "/jobs/render-7" {
		t.Error("a job that goes on is neither followed nor can be looked at again")
	}
	says(t, p.id(t, "stop"), "Where it is", "render", "▶ running", "1200 of 2400 frames")
	says(t, p.id(t, "waterfall"), "for 8m 5s, 1200 of 2400 frames")
	if !slices.ContainsFunc(p.all("section"), func(n *node) bool {
		_, hidden := attribute(n.Node, "hidden")
		return hidden && n.attr("id") == "capsules"
	}) {
		t.Error("an empty section is seen")
	}
}

// From the smallest to the largest: everything is there, the picture stays within
// what can be read, and what failed is in sight.
func TestJob_Sizes(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 24, 25, 100, 500, 2000} {
		f := newFixture(t)
		f.lines["render-7"] = build(longStory(n))
		p := f.page(t, "/jobs/render-7")
		if drawn := len(p.id(t, "phases").all("tr")) - 1; drawn != min(n, 1000) {
			t.Errorf("%d phases: %d in the table", n, drawn)
		}
		for _, lane := range p.class("lane") {
			if seen := len(lane.class("plot")[0].class("row")); seen > 31 {
				t.Errorf("%d phases: %d rows at once in %s", n, seen, lane.attr("data-stage"))
			}
		}
		stop := p.class("stop")
		if len(stop) != 1 || stop[0].Parent.Parent.Parent.Data != "section" {
			t.Errorf("%d phases: where it stopped is folded away or not there", n)
		}
		if folded := len(p.id(t, "phases").all("details")) > 0; folded != (n > 100) {
			t.Errorf("%d phases: the table is folded away: %t", n, folded)
		}
		if n > 1000 {
			says(t, p.id(t, "cut"), "Of 2000 phases 1000 are drawn")
		}
	}
}

func TestJob_Unknown(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	told := failedStory()
	told.Record = nil
	f.lines["render-7"] = build(told)
	says(t, f.page(t, "/jobs/render-7").id(t, "status"), "The job has no record")
	for _, id := range []string{"none", "..", "a%2Fb", "%00", strings.Repeat("x", 64)} {
		if w := f.get(everybody(), "/jobs/"+id); w.Code != http.StatusNotFound {
			t.Errorf("%s: status %d", id, w.Code)
		}
	}
	f.err = resilience.Dependency("firestore", errors.New("it does not answer"))
	if w := f.get(everybody(), "/jobs/render-7"); w.Code != http.StatusServiceUnavailable {
		t.Errorf("without a store: status %d", w.Code)
	}
}

// Readers see what is of their tenants, and of the rest not even that it exists.
func TestJob_Tenants(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	of := func(tenant string) {
		in := failedStory()
		in.Record.Tenant = tenant
		f.lines["render-7"] = build(in)
	}
	for tenant, want := range map[string]int{"studio": http.StatusOK, "other": http.StatusNotFound, "": http.StatusNotFound} {
		of(tenant)
		w := f.get(ana(), "/jobs/render-7")
		if w.Code != want || want != http.StatusOK && strings.Contains(w.Body.String(), "memory") {
			t.Errorf("a job of tenant %q: status %d, want %d", tenant, w.Code, want)
		}
	}
}
