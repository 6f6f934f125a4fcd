//go:build integration

package e2e

import (
	"fmt"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/test/stack/proxy"
)

const (
	inBackend    = job.StageBackend
	inFaces      = job.StageFaceDetection
	inKubernetes = job.StageKubernetes
)

// upCases are judged with everything well.
func upCases() []recoveryCase {
	return append(shownCases(), append(goneCases(), silentCases()...)...)
}

// shownCases are those of which the cluster shows something.
func shownCases() []recoveryCase {
	return []recoveryCase{
		{id: "k-running", stage: inKubernetes, cluster: runningJob(), want: leftAlone("RUNNING")},
		{id: "k-long", stage: inKubernetes, cluster: runningJob(), want: leftAlone("RUNNING_LONG").by("long").toDevelopers()},
		{id: "k-complete", stage: inKubernetes, cluster: completeJob(), want: adopted("ENDED", "SUCCEEDED", "CONDITION", "succeeded")},
		{id: "k-complete-empty", stage: inKubernetes, cluster: completeJob(), bucket: emptyBucket(), want: adopted("ENDED", "SUCCEEDED", "CONDITION", "succeeded")},
		{id: "k-failed", stage: inKubernetes, cluster: failedJob(), want: adopted("ENDED", "FAILED", "CONDITION", "failed").of("BACKOFF_LIMIT")},
		{id: "k-failed-marked", stage: inKubernetes, cluster: failedJob(), bucket: markerLeft(), want: adopted("ENDED", "FAILED", "CONDITION", "failed").of("BACKOFF_LIMIT")},
		{id: "k-stage-done", stage: inKubernetes, cluster: notFinal(completeJob()), want: adopted("STAGE_ENDED", "RUNNING", "", "")},
		{id: "k-no-room", stage: inKubernetes, cluster: unschedulableJob(), want: isDelayed("ROOM")},
		{id: "k-no-quota", stage: inKubernetes, cluster: quotaJob(), want: isDelayed("QUOTA")},
		{id: "k-queued", stage: inKubernetes, cluster: queuedJob(), want: isDelayed("QUEUE")},
		{id: "k-image", stage: inKubernetes, cluster: imageJob(), want: leftAlone("WAITING").toDevelopers()},
		{id: "k-suspended", stage: inKubernetes, cluster: suspendedJob(), want: leftAlone("SUSPENDED")},
		{id: "k-overdue", stage: inKubernetes, cluster: endingJob(), want: adopted("END_DECIDED", "FAILED", "CONDITION", "failed").by("overdue").of("DEADLINE")},
		{id: "k-ending", stage: inKubernetes, cluster: endingJob(), want: leftAlone("ENDING")},
		{id: "k-deleting", stage: inKubernetes, cluster: deletedJob(), want: leftAlone("DELETING").toDevelopers()},
		{id: "k-orphan", stage: inKubernetes, cluster: orphanedJob(), want: leftAlone("ORPHAN").toDevelopers()},
		{id: "b-old-run", stage: inBackend, cluster: earlierJob(), attempt: 2, want: leftAlone("OLD_RUN").toDevelopers()},
		{id: "b-complete", stage: inBackend, cluster: completeJob(), want: adopted("ENDED", "SUCCEEDED", "CONDITION", "succeeded")},
		{id: "f-failed", stage: inFaces, cluster: failedJob(), want: adopted("ENDED", "FAILED", "CONDITION", "failed").of("BACKOFF_LIMIT")},
		{
			id: "b-running", stage: inBackend, cluster: runningJob(), claim: func(o *job.Observation) { o.State = job.StatePending },
			want: adopted("NEWS", "RUNNING", "", "running"),
		},
		{id: "f-no-room", stage: inFaces, cluster: unschedulableJob(), want: isDelayed("ROOM").recorded("PENDING")},
		{
			id: "k-stray", cluster: runningJob(), record: func(*world, string, *batchv1.Job) {},
			want: outcome{rule: "no rule", action: "create record", reason: "NO_RECORD", fate: "written", update: "running"},
		},
	}
}

// goneCases are those whose Kubernetes Job is gone.
func goneCases() []recoveryCase {
	ahead := func(o *job.Observation) { o.OccurredAt = time.Now().Add(5 * time.Minute) }
	return []recoveryCase{
		{id: "k-marked", stage: inKubernetes, cluster: removedJob(), bucket: markerLeft(), want: succeededBy("MARKER")},
		{id: "k-any", stage: inKubernetes, cluster: removedJob(), bucket: filesLeft("bare objects, any will do", 5), want: succeededBy("OBJECTS").by("any")},
		{
			id: "k-stage-output", stage: inKubernetes, cluster: notFinal(removedJob()), bucket: markerLeft(),
			want: adopted("STAGE_OUTPUT", "RUNNING", "", ""),
		},
		{id: "k-empty", stage: inKubernetes, cluster: removedJob(), bucket: emptyBucket(), want: lost("GONE")},
		{id: "k-undeclared", stage: inKubernetes, cluster: forgottenJob(), bucket: undeclared(), want: lost("GONE_UNDECLARED")},
		{id: "k-bare", stage: inKubernetes, cluster: removedJob(), bucket: filesLeft("bare objects, a marker is declared", 5), want: lost("GONE_INCOMPLETE")},
		{id: "k-three", stage: inKubernetes, cluster: forgottenJob(), bucket: filesLeft("3 of 100 files", 3), want: lost("GONE_INCOMPLETE")},
		{id: "k-old", stage: inKubernetes, cluster: forgottenJob(), bucket: oldMarker(), want: lost("GONE_OLD")},
		{
			id: "k-foreign", stage: inKubernetes, cluster: forgottenJob(), bucket: markerOfAttempt("marker of an earlier attempt", 1), attempt: 2,
			want: lost("GONE_FOREIGN"),
		},
		{id: "k-1", stage: inKubernetes, cluster: forgottenJob(), bucket: neighboursMarker(), want: lost("GONE")},
		{id: "k-deleted", stage: inKubernetes, cluster: forgottenJob(), bucket: deletedMarker(), want: lost("GONE")},
		{id: "k-unsettled", stage: inKubernetes, cluster: removedJob(), bucket: markerLeft(), want: leftAlone("UNSETTLED").by("unsettled")},
		{id: "k-clock", stage: inKubernetes, cluster: removedJob(), claim: ahead, want: leftAlone("CLOCK")},
		{id: "b-marked", stage: inBackend, cluster: neverThere(), bucket: markerOfAttempt("marker", 1), want: succeededBy("MARKER")},
	}
}

// silentCases are those of which the cluster never saw anything.
func silentCases() []recoveryCase {
	stage := func(id, stage string, want outcome) recoveryCase {
		return recoveryCase{id: id, stage: stage, cluster: neverThere(), want: want}
	}
	spent := stage("b-spent", inBackend, silenced("ATTEMPTS_SPENT"))
	spent.attempt = job.MaxAttempt
	elsewhere := stage("k-elsewhere", inKubernetes, outcome{})
	elsewhere.cluster.name = "another cluster"
	elsewhere.claim = func(o *job.Observation) {
		o.Kubernetes = job.Kubernetes{Cluster: "other", Namespace: "n", Name: o.JobID, UID: "u", CreatedAt: o.OccurredAt}
	}
	over := stage("b-over", inBackend, outcome{})
	over.claim = func(o *job.Observation) { o.State, o.Evidence = job.StateSucceeded, job.EvidenceStated }
	patient := stage("b-patient", inBackend, leftAlone("NEWER_PHASE").by("patient"))
	early := stage("b-early-patient", inBackend, outcome{fate: "left"})
	early.claim = func(o *job.Observation) { o.OccurredAt = time.Now() }
	empty := stage("f-silent-empty", inFaces, resumed())
	empty.bucket = emptyBucket()
	return []recoveryCase{
		stage("b-silent", inBackend, resumed()), stage("f-silent", inFaces, resumed()), empty, stage("b-once", inBackend, resumed().by("once")),
		spent, elsewhere, over, patient, early,
		stage("k-entered", inKubernetes, silenced("SILENT")),
		stage("t-people", "thumbnails", leftAlone("INVESTIGATE").by("people").toDevelopers()),
		stage("t-late", "thumbnails", isDelayed("LATE").by("late")),
		stage("t-unknown", "thumbnails", leftAlone("NO_RULE").by("").toDevelopers()),
	}
}

// judgedOnRequest are jobs that a run passes by, with why; it says so only when
// it is asked for just that job.
func judgedOnRequest() map[string]string {
	return map[string]string{
		"k-elsewhere": "OTHER_CLUSTER", "b-over": "OVER", "b-early-patient": "NOT_DUE", "b-silent": "RESUMING", "k-no-room": "DELAYED",
	}
}

func matrixUp(t *testing.T, seen *outcomes) {
	w := newWorld(newSystem(t, "rec-up"))
	w.heartbeat()
	w.noRoomForDeadlines()
	cases := upCases()
	w.build(cases)
	w.phase("b-patient", time.Now())
	told := w.collectSent()
	before := w.snapshot()
	rules := w.rules(matrixRules)

	shared.Firestore.ResetCounts(w.ID)
	plan := w.plan(0, []string{rules})
	if counts := shared.Firestore.Counts(w.ID); proxy.Total(counts.Writes)+proxy.Total(counts.Deletes) > 0 {
		t.Errorf("a plan has written: %v, %v", counts.Writes, counts.Deletes)
	}
	r := w.recovery(0, []string{rules}, "run")
	m := &matrix{world: w, run: r, cases: cases, before: before, told: told.await(w.system, messages(cases))}
	m.check(seen)
	m.checkPlan(plan)

	for id, reason := range judgedOnRequest() {
		r := w.recovery(0, []string{rules}, "run", "--only="+id)
		if it := r.item(id); it.Reason != reason || it.Action != "leave" {
			t.Errorf("%s, asked for alone: %+v, want %s", id, it, reason)
		}
		seen.add(reason, id)
	}
	// The command has expired and nobody has answered it: that was the last one.
	known := m.told.ids()
	r = w.recovery(0, []string{rules}, "run", "--rule=once")
	once := recoveryCase{id: "b-once", stage: inBackend, want: silenced("RESUMES_SPENT").by("once")}
	m = &matrix{world: w, run: r, cases: []recoveryCase{once}, before: m.after}
	m.told = told.await(w.system, messages(cases)+messages(m.cases)).without(known)
	m.check(seen)
}

// downCases are judged with Pub/Sub away.
func downCases() []recoveryCase {
	silent := func(id, stage string) recoveryCase {
		return recoveryCase{id: id, stage: stage, cluster: neverThere(), want: leftAlone("PIPELINE_SILENT").toDevelopers()}
	}
	hard := recoveryCase{id: "b-hard", stage: inBackend, cluster: neverThere(), want: silenced("HARD_LIMIT")}
	hard.record = func(w *world, id string, _ *batchv1.Job) {
		o := w.silent(id, inBackend)
		o.OccurredAt = time.Now().Add(-7 * time.Hour)
		w.apply(w.recordsAt(o.OccurredAt), o)
	}
	entered := silent("k-entered", inKubernetes)
	return []recoveryCase{
		silent("b-silent", inBackend), silent("f-silent", inFaces), entered, hard,
		{id: "k-complete", stage: inKubernetes, cluster: completeJob(), want: adopted("ENDED", "SUCCEEDED", "CONDITION", "succeeded")},
		{id: "f-complete", stage: inFaces, cluster: completeJob(), want: adopted("ENDED", "SUCCEEDED", "CONDITION", "succeeded")},
		{id: "k-running", stage: inKubernetes, cluster: runningJob(), want: leftAlone("RUNNING")},
		{id: "k-no-room", stage: inKubernetes, cluster: unschedulableJob(), want: isDelayed("ROOM")},
		{id: "k-marked", stage: inKubernetes, cluster: removedJob(), bucket: markerLeft(), want: succeededBy("MARKER")},
		{id: "k-empty", stage: inKubernetes, cluster: forgottenJob(), bucket: emptyBucket(), want: lost("GONE")},
		{id: "k-three", stage: inKubernetes, cluster: forgottenJob(), bucket: filesLeft("3 of 100 files", 3), want: lost("GONE_INCOMPLETE")},
	}
}

// What is decided while Pub/Sub is away waits in the outbox, whole, and goes out
// once with the first run after.
func matrixDown(t *testing.T, seen *outcomes) {
	w := newWorld(newSystem(t, "rec-down"))
	cases := downCases()
	w.build(cases)
	before := w.snapshot()
	o := cut(shared.PubSub, w.ID)
	if err := o.begin(); err != nil {
		t.Fatal(err)
	}
	rules := w.rules(matrixRules)
	r := w.recovery(0, []string{rules}, "run")
	if r.report.Silent == "" {
		t.Error("the run does not know that Pub/Sub is away")
	}
	waiting := w.outbox()
	if n := waiting.number(); n != messages(cases) {
		t.Errorf("%d messages wait in the outbox, want %d", n, messages(cases))
	}
	m := &matrix{world: w, run: r, cases: cases, before: before, told: waiting, pubsub: "down"}
	m.check(seen)

	if err := o.end(); err != nil {
		t.Fatal(err)
	}
	w.agedOutbox()
	// Nothing is due any more but what silence could not decide.
	r = w.recovery(0, []string{rules}, "run", "--rule=late")
	if r.report.Sent != messages(cases) {
		t.Errorf("the run after sent %d messages, want %d", r.report.Sent, messages(cases))
	}
	told := w.collectSent().await(w.system, messages(cases))
	for id, data := range waiting.contents {
		if string(told.contents[id]) != string(data) {
			t.Errorf("message %s went out otherwise than it waited", id)
		}
	}
	if n := w.outbox().number(); n > 0 {
		t.Errorf("%d messages are left in the outbox", n)
	}
}

// messages is how many messages the cases make.
func messages(cases []recoveryCase) int {
	n := 0
	for i := range cases {
		c := &cases[i].want
		if c.update != "" {
			n++
		}
		if c.written() && c.reason != "NO_RECORD" {
			n++ // the phase
		}
		if c.action == "resume" {
			n++ // the command
		}
	}
	return n
}

func (c *recoveryCase) String() string {
	place := c.bucket.name
	if place == "" {
		place = "-"
	}
	return fmt.Sprintf("%-12s %-26s %-34s", c.stage, c.cluster.name, place)
}
