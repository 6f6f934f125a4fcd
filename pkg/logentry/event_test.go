package logentry

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/envision/resiliency/pkg/job"
)

func TestStatement_Fixtures(t *testing.T) {
	t.Parallel()
	pod := fixtureName + "-7xk2p"
	want := map[string]Statement{
		"job_SuccessfulCreate": {Says: SaysPodCreated, At: at(t, "2026-11-21T10:00:01Z"), Pod: pod, Subject: fixtureUID},
		"job_Completed": {
			Says: SaysCompleted, At: at(t, "2026-11-21T10:42:10Z"), Detail: `"Completed" Event: Job completed`, Subject: fixtureUID,
		},
		"job_BackoffLimitExceeded": {
			Says: SaysFailed, At: at(t, "2026-11-21T10:42:10Z"), Subject: fixtureUID,
			Detail: `"BackoffLimitExceeded" Event: Job has reached the specified backoff limit`,
			Cause: job.CauseDetail{
				Cause: job.CauseBackoffLimit, Reason: "BackoffLimitExceeded", Message: "Job has reached the specified backoff limit",
			},
		},
		"job_DeadlineExceeded": {
			Says: SaysFailed, At: at(t, "2026-11-21T12:00:01Z"), Subject: fixtureUID,
			Detail: `"DeadlineExceeded" Event: Job was active longer than specified deadline`,
			Cause: job.CauseDetail{
				Cause: job.CauseDeadline, Reason: "DeadlineExceeded", Message: "Job was active longer than specified deadline",
			},
		},
		"job_FailedCreate": {Why: WhyNoClaim, At: at(t, "2026-11-21T10:00:01Z"), Subject: fixtureUID},
		"job_Suspended":    {Why: WhyNoClaim, At: at(t, "2026-11-21T09:59:00Z"), Subject: fixtureUID},
		"job_Resumed":      {Why: WhyNoClaim, At: at(t, "2026-11-21T09:59:50Z"), Subject: fixtureUID},
		"pod_Evicted": {
			Says: SaysPodDisrupted, At: at(t, "2026-11-21T10:20:00Z"), Pod: pod, Subject: "9d1b2c33-0f6a-4d0e-8b0b-6b1f4d7e2c90",
			Cause: job.CauseDetail{
				Cause: job.CauseEvicted, Reason: "Evicted", Pod: pod, Node: "gke-batch-1-spot-pool-476246ab-wnl7",
				Message: "The node was low on resource: memory. Threshold quantity: 100Mi, available: 52316Ki. " +
					"Container main was using 3148516Ki, request is 1Gi, has larger consumption of memory.",
			},
		},
		"pod_FailedScheduling": {
			Why: WhyNoClaim, At: at(t, "2026-11-21T10:00:02Z"), Subject: "9d1b2c33-0f6a-4d0e-8b0b-6b1f4d7e2c90",
		},
		"pod_Preempted": {
			Says: SaysPodDisrupted, At: at(t, "2026-11-21T10:00:02Z"), Pod: pod, Subject: "9d1b2c33-0f6a-4d0e-8b0b-6b1f4d7e2c90",
			Cause: job.CauseDetail{
				Cause: job.CausePreempted, Reason: "Preempted", Pod: pod, Node: "gke-batch-1-spot-pool-476246ab-wnl7",
				Message: "Preempted by pod 3f2f6a2e-0f6a-4d0e-8b0b-6b1f4d7e2c01 on node gke-batch-1-spot-pool-476246ab-wnl7",
			},
		},
		"node_OOMKilling": {Why: WhyNoClaim, At: at(t, "2026-11-21T10:25:00Z"), Subject: "gke-batch-1-spot-pool-476246ab-wnl7"},
	}
	for name, data := range fixtures(t) {
		e := read(t, data)
		if e.Event == nil {
			continue
		}
		if diff := cmp.Diff(want[name], e.Event.Statement()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

type fields = map[string]any

func TestStatement_OddEvents(t *testing.T) {
	t.Parallel()
	const completed, evicted = "job_Completed", "pod_Evicted"
	set := func(key string, value any) func(fields) { return func(e fields) { e[key] = value } }
	cases := []struct {
		name    string
		fixture string
		edit    func(fields)
		says    Says
		why     string
	}{
		{"an unknown reason", completed, set("reason", "Exploded"), SaysNothing, WhyUnknownReason},
		{"no reason", completed, set("reason", ""), SaysNothing, WhyUnknownReason},
		{"an unknown reason of a pod", evicted, set("reason", "Exploded"), SaysNothing, WhyUnknownReason},
		{"a reason in other letters", completed, set("reason", "completed"), SaysNothing, WhyUnknownReason},
		{"combined", completed, set("message", "(combined from similar events): Job completed"), SaysNothing, WhyCombined},
		{"combined of a pod", evicted, set("message", "(combined from similar events): The node was low"), SaysNothing, WhyCombined},
		{"another controller", completed, func(e fields) {
			e["source"], e["reportingComponent"] = fields{"component": "kueue"}, "kueue"
		}, SaysNothing, WhyOtherComponent},
		{"no component", completed, func(e fields) { e["source"], e["reportingComponent"] = nil, nil }, SaysNothing, WhyOtherComponent},
		{"component of older clusters", completed, set("reportingComponent", ""), SaysCompleted, ""},
		{"component of newer clusters", completed, set("source", fields{}), SaysCompleted, ""},
		{"no time at all", completed, func(e fields) {
			e["lastTimestamp"], e["metadata"] = nil, fields{}
		}, SaysNothing, WhyNoTime},
		{"a time that is none", completed, func(e fields) {
			e["lastTimestamp"], e["metadata"] = "soon", fields{"creationTimestamp": true}
		}, SaysNothing, WhyNoTime},
		{"too many pods succeeded, which is no failure", completed, set("reason", "TooManySucceededPods"), SaysNothing, WhyNoClaim},
		{"something else created", completed, func(e fields) {
			e["reason"], e["message"] = "SuccessfulCreate", "Created job x"
		}, SaysNothing, WhyNoClaim},
		{"a deletion given up", evicted, func(e fields) {
			e["reason"], e["message"] = "TaintManagerEviction", "Cancelling deletion of Pod etl/x"
		}, SaysNothing, WhyNoClaim},
		{"a deletion for a taint", evicted, func(e fields) {
			e["reason"], e["message"] = "TaintManagerEviction", "Marking for deletion Pod etl/x"
		}, SaysPodDisrupted, ""},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := edited(t, tc.fixture, tc.edit).Event.Statement()
			if s.Says != tc.says || s.Why != tc.why {
				t.Errorf("says %d (%s), want %d (%s)", s.Says, s.Why, tc.says, tc.why)
			}
		})
	}
}

func TestEvent_TimeOfASeries(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		edit func(fields)
		want string
	}{
		{"last", func(fields) {}, "2026-11-21T10:42:10Z"},
		{"series", func(e fields) {
			e["lastTimestamp"], e["series"] = nil, fields{"lastObservedTime": "2026-11-21T11:00:00.987654Z"}
		}, "2026-11-21T11:00:00Z"},
		{"event time", func(e fields) {
			e["lastTimestamp"], e["eventTime"] = nil, "2026-11-21T10:30:00.999999Z"
		}, "2026-11-21T10:30:00Z"},
		{"creation", func(e fields) { delete(e, "lastTimestamp") }, "2026-11-21T10:42:10Z"},
	}
	for _, tc := range cases {
		if got := edited(t, "job_Completed", tc.edit).Event.At(); !got.Equal(at(t, tc.want)) {
			t.Errorf("%s: %v, want %s", tc.name, got.Format(time.RFC3339Nano), tc.want)
		}
	}
}
