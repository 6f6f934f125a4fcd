//go:build integration

package e2e

import (
	"context"
	"fmt"
	"testing"

	"golang.org/x/sync/errgroup"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/envision/resiliency/test/drive"
	"github.com/envision/resiliency/test/stack"
	"github.com/envision/resiliency/test/stack/logsink"
)

// ttlRules are the built-in rule for Kubernetes, but that nobody waits for hours.
const ttlRules = `version: 1
defaults: false
rules:
  - {name: kubernetes, match: {stage: kubernetes}, silent_for: 1s, do: fail, hard_limit: 24h, output: {settle: 1s}}
`

// The last line: both watchers and the log sink are dead, Pub/Sub is away, the
// jobs finish and Kubernetes forgets them. One run closes all of them rightly, by
// what they have left in their bucket; once Pub/Sub is back, each of their users
// is told once.
func TestRecoverAfterTTL(t *testing.T) {
	t.Parallel()
	w := newWorld(newSystem(t, "rec-ttl"))
	w.startUpdater("SWEEP_EVERY=2s")
	w.start(stack.ServiceSpec{Name: streamer})
	sink := w.startSecondPath(logsink.Faults{})
	jobs := 60
	if soak() {
		jobs = 500
	}
	uids := w.createHanging(jobs)
	w.within(3*patience, "a record of each running job", func() (bool, string) {
		n := w.inState("RUNNING")
		return n == jobs, fmt.Sprintf("%d of %d", n, jobs)
	})
	for _, watcher := range []string{streamer, witness} {
		if err := w.services[watcher].Kill(); err != nil {
			t.Fatal(err)
		}
	}
	if err := sink.Stop(); err != nil {
		t.Fatal(err)
	}
	// What is on its way when Pub/Sub goes is published twice, and would be counted below.
	w.within(3*patience, "the updates of the running jobs to be published", func() (bool, string) {
		n := w.outbox().number()
		return n == 0, fmt.Sprintf("%d are in the outbox", n)
	})
	o := cut(shared.PubSub, w.ID)
	if err := o.begin(); err != nil {
		t.Fatal(err)
	}
	w.endAll(uids)
	w.within(3*patience, "all Jobs to be removed by their TTL", func() (bool, string) {
		list, err := shared.Kube().BatchV1().Jobs(w.Namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			return false, err.Error()
		}
		return len(list.Items) == 0, fmt.Sprintf("%d are left", len(list.Items))
	})
	pass(t, settled)

	rules := w.rules(ttlRules)
	r := w.recovery(0, []string{rules}, "run", "--confirm-mass-failure")
	if r.report.Counts["written"] != jobs {
		t.Errorf("the run wrote %v, want %d verdicts", r.report.Counts, jobs)
	}
	w.expectClosed(uids)
	if n := len(w.outbox().updates); n != jobs {
		t.Errorf("updates of %d jobs wait in the outbox, want %d", n, jobs)
	}
	before := shared.PubSub.Counts(w.ID).Published
	if err := o.end(); err != nil {
		t.Fatal(err)
	}
	told := w.collectUpdates()
	if !soak() { // there, status-updater's sweep does it, half a minute later
		w.agedOutbox()
		w.recovery(0, []string{rules}, "run")
	}
	told.expectEnds(w.system, jobs)
	after := shared.PubSub.Counts(w.ID).Published
	// One more update is the marker of expectEnds.
	if n := after["job-updates"] - before["job-updates"] - 1; n != int64(jobs) {
		t.Errorf("%d updates were published for %d jobs", n, jobs)
	}
}

// endsWell says which of the jobs succeed: two of three.
func endsWell(i int) bool { return i%3 != 0 }

// createHanging creates so many Jobs that run until endAll and are then removed at
// once, and returns their UIDs by name.
func (w *world) createHanging(jobs int) map[string]string {
	w.t.Helper()
	names := make([]string, jobs)
	uids := make([]string, jobs)
	var group errgroup.Group
	group.SetLimit(8)
	for i := range jobs {
		names[i] = fmt.Sprintf("t-%03d", i)
		group.Go(func() error {
			j, err := shared.Kube().BatchV1().Jobs(w.Namespace).Create(w.t.Context(), stack.Job(stack.JobSpec{
				Namespace: w.Namespace, Name: names[i], JobID: names[i], Outcome: stack.OutcomeHang, TTL: -1,
				OutputURI: "gs://" + stack.OutputBucket + "/" + w.prefix(names[i]), Owner: "ana",
			}), metav1.CreateOptions{})
			if err == nil {
				uids[i] = string(j.UID)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		w.t.Fatalf("create the Jobs: %v", err)
	}
	all := map[string]string{}
	for i, name := range names {
		all[name] = uids[i]
	}
	return all
}

// endAll ends all Jobs: those that end well have written their marker before, as
// their code would.
func (w *world) endAll(uids map[string]string) {
	w.t.Helper()
	pods, err := shared.Kube().CoreV1().Pods(w.Namespace).List(w.t.Context(), metav1.ListOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	var group errgroup.Group
	group.SetLimit(8)
	for i := range pods.Items {
		pod := &pods.Items[i]
		name := pod.Labels[batchv1.JobNameLabel]
		outcome := stack.OutcomeExit
		if endsWell(number(name)) {
			outcome = stack.OutcomeSucceed
			w.mark(name, fmt.Sprintf(`{"uid":%q}`, uids[name]))
		}
		group.Go(func() error { return w.endPod(w.t.Context(), pod.Name, outcome) })
	}
	if err := group.Wait(); err != nil {
		w.t.Fatalf("end the pods: %v", err)
	}
}

func (w *world) endPod(ctx context.Context, name string, outcome stack.Outcome) error {
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q,%q:"0.1"}}}`, stack.AnnotationOutcome, outcome, stack.AnnotationSeconds)
	_, err := shared.Kube().CoreV1().Pods(w.Namespace).Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		return fmt.Errorf("pod %s: %w", name, err)
	}
	return nil
}

// number is that of a job of createHanging.
func number(name string) int {
	var n int
	_, _ = fmt.Sscanf(name, "t-%d", &n) // the name is ours
	return n
}

func (w *world) expectClosed(uids map[string]string) {
	w.t.Helper()
	records := w.snapshot()
	for name, uid := range uids {
		state, evidence := drive.Failed, "ABSENCE"
		if endsWell(number(name)) {
			state, evidence = drive.Succeeded, "OUTPUT"
		}
		doc := records[name]
		if doc == nil || field[string](doc, "state") != state || field[string](doc, "verdict.evidence") != evidence ||
			field[string](doc, "kubernetes.uid") != uid {
			w.t.Errorf("%s: the record says %v, want %s by %s", name, doc.Data(), state, evidence)
		}
	}
	if len(records) != len(uids) {
		w.t.Errorf("%d records of %d jobs", len(records), len(uids))
	}
}
