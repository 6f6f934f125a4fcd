package cluster

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/services/recovery-job/internal/judge"
)

func query() judge.ClusterQuery {
	return judge.ClusterQuery{JobID: "j-1", Namespace: "ml", Name: "train", UID: "u-1"}
}

// Every answer is the same by list and live.
func TestProber_found(t *testing.T) {
	t.Parallel()
	type said struct {
		Stand    judge.Stand
		Wait     judge.Wait
		Message  string
		Since    time.Duration // before noon
		Live     int
		Last     job.State // that the claims end with
		Decided  job.State
		Deleting bool
	}
	hour := time.Hour
	cases := []struct {
		name    string
		objects []runtime.Object
		want    said
	}{
		{"complete", []runtime.Object{aJob(condition(batchv1.JobSuccessCriteriaMet, ""), condition(batchv1.JobComplete, ""))},
			said{Stand: judge.StandEnded, Message: "Complete=True", Since: hour, Last: job.StateSucceeded}},
		{"failed", []runtime.Object{aJob(condition(batchv1.JobFailureTarget, "X"), condition(batchv1.JobFailed, "BackoffLimitExceeded"))},
			said{Stand: judge.StandEnded, Message: "Failed=True (BackoffLimitExceeded)", Since: hour, Last: job.StateFailed}},
		{"stage_done", []runtime.Object{aJob(condition(batchv1.JobComplete, ""), func(o *batchv1.Job) { o.Annotations["resiliency.envision.dev/stage-final"] = "false" })},
			said{Stand: judge.StandEnded, Message: "Complete=True", Since: hour, Last: job.StateRunning}},
		{"bound_to_fail_without_pods", []runtime.Object{aJob(condition(batchv1.JobFailureTarget, "BackoffLimitExceeded"))},
			said{Stand: judge.StandEnding, Message: "FailureTarget=True (BackoffLimitExceeded)", Since: hour, Last: job.StatePending, Decided: job.StateFailed}},
		{"bound_to_fail_on_a_dead_node", []runtime.Object{aJob(condition(batchv1.JobFailureTarget, "")), aPod(working, endingAt(before(30*time.Minute)))},
			said{Stand: judge.StandEnding, Message: "FailureTarget=True", Since: 30 * time.Minute, Last: job.StatePending, Decided: job.StateFailed}},
		{"bound_to_fail_with_hours_of_grace", []runtime.Object{aJob(condition(batchv1.JobFailureTarget, "")), aPod(working, endingAt(before(-2*hour)))},
			said{Stand: judge.StandEnding, Message: "FailureTarget=True", Since: -2 * hour, Last: job.StatePending, Decided: job.StateFailed}},
		{"bound_to_fail_and_a_pod_works_on", []runtime.Object{aJob(condition(batchv1.JobFailureTarget, "")), aPod(working)},
			said{Stand: judge.StandEnding, Message: "FailureTarget=True", Since: hour, Live: 1, Last: job.StatePending, Decided: job.StateFailed}},
		{"bound_to_succeed", []runtime.Object{aJob(condition(batchv1.JobSuccessCriteriaMet, "SuccessPolicy"))},
			said{Stand: judge.StandEnding, Message: "SuccessCriteriaMet=True (SuccessPolicy)", Since: hour, Last: job.StatePending, Decided: job.StateSucceeded}},
		{"runs", []runtime.Object{aJob(ready), aPod(working)}, said{Stand: judge.StandRunning, Since: 2 * hour, Live: 1, Last: job.StateRunning}},
		{"runs_unready", []runtime.Object{aJob(), aPod(working)}, said{Stand: judge.StandRunning, Since: 3 * hour, Live: 1, Last: job.StatePending}},
		{"one_runs_one_waits", []runtime.Object{aJob(), aPod(unschedulable), aPod(podUID("p-2"), working)}, said{Stand: judge.StandRunning, Since: 3 * hour, Live: 2, Last: job.StatePending}},
		{"between_two_tries", []runtime.Object{aJob(failedOnce)}, said{Stand: judge.StandRunning, Since: 3 * hour, Last: job.StateRunning}},
		{"no_room", []runtime.Object{aJob(), aPod(unschedulable)},
			said{Stand: judge.StandWaiting, Wait: judge.WaitRoom, Message: "0/3 nodes are available", Since: hour, Live: 1, Last: job.StatePending}},
		{"no_image", []runtime.Object{aJob(), aPod(pulling)},
			said{Stand: judge.StandWaiting, Wait: judge.WaitImage, Message: "no such image", Since: 3 * hour, Live: 1, Last: job.StatePending}},
		{"no_room_and_no_image", []runtime.Object{aJob(), aPod(unschedulable), aPod(podUID("p-2"), pulling)},
			said{Stand: judge.StandWaiting, Wait: judge.WaitImage, Message: "no such image", Since: 3 * hour, Live: 2, Last: job.StatePending}},
		{"pods_not_started", []runtime.Object{aJob(), aPod()},
			said{Stand: judge.StandWaiting, Message: "its pods have not started", Since: 3 * hour, Live: 1, Last: job.StatePending}},
		{"quota", []runtime.Object{aJob(), refused(`pods "x" is forbidden: exceeded quota: gpu, requested: 1`)},
			said{Stand: judge.StandWaiting, Wait: judge.WaitQuota, Message: `pods "x" is forbidden: exceeded quota: gpu, requested: 1`, Since: 3 * hour, Last: job.StatePending}},
		{"quota_between_two_tries", []runtime.Object{aJob(failedOnce), refused("exceeded quota")},
			said{Stand: judge.StandWaiting, Wait: judge.WaitQuota, Message: "exceeded quota", Since: 3 * hour, Last: job.StateRunning}},
		{"pods_are_forbidden", []runtime.Object{aJob(), refused("violates PodSecurity")},
			said{Stand: judge.StandWaiting, Wait: judge.WaitConfig, Message: "violates PodSecurity", Since: 3 * hour, Last: job.StatePending}},
		{"no_pods", []runtime.Object{aJob()}, said{Stand: judge.StandWaiting, Message: "it has no pods", Since: 3 * hour, Last: job.StatePending}},
		{"suspended_by_hand", []runtime.Object{aJob(suspended)},
			said{Stand: judge.StandSuspended, Message: "Suspended=True (JobSuspended)", Since: hour, Last: job.StateSuspended}},
		{"not_admitted", []runtime.Object{aJob(suspended, label(queueLabel, "gpu"))},
			said{Stand: judge.StandSuspended, Wait: judge.WaitQueue, Message: "queue gpu has not admitted it", Since: hour, Last: job.StateSuspended}},
		{"not_admitted_elsewhere", []runtime.Object{aJob(suspended, func(o *batchv1.Job) { by := queuePrefix + "multikueue"; o.Spec.ManagedBy = &by })},
			said{Stand: judge.StandSuspended, Wait: judge.WaitQueue, Message: "queue kueue.x-k8s.io/multikueue has not admitted it", Since: hour, Last: job.StateSuspended}},
		{"pods_held_back", []runtime.Object{aJob(), aPod(func(o *corev1.Pod) {
			o.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: queuePrefix + "admission"}}
		})},
			said{Stand: judge.StandWaiting, Wait: judge.WaitQueue, Message: "a queue holds back pod train-x", Since: 3 * hour, Live: 1, Last: job.StatePending}},
		{"being_deleted", []runtime.Object{aJob(ready, func(o *batchv1.Job) { at := before(0); o.DeletionTimestamp, o.Finalizers = &at, []string{"x"} }), aPod(working)},
			said{Stand: judge.StandRunning, Since: 2 * hour, Live: 1, Last: job.StateRunning, Deleting: true}},
	}
	for _, c := range cases {
		for _, live := range []bool{false, true} {
			name := c.name + "_by_list"
			if live {
				name = c.name + "_live"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				p := prober(fake.NewClientset(c.objects...), Config{ListFrom: 1})
				p.Prepare(t.Context(), 1)
				q := query()
				q.Live = live
				got := p.Cluster(t.Context(), q)
				if got.Probe != judge.Answered || got.Live != live || !got.At.Equal(noon()) || len(got.Jobs) != 1 || len(got.Pods) != 0 {
					t.Fatalf("got %+v", got)
				}
				f := &got.Jobs[0]
				s := said{Stand: f.Stand, Wait: f.Wait, Message: f.Message, Since: noon().Sub(f.Since), Live: f.Live, Deleting: f.Deleting}
				for i := range f.Claims {
					if f.Claims[i].Kind == job.KindStatus {
						s.Last = f.Claims[i].State
					}
				}
				if len(f.Decided) > 0 {
					s.Decided = f.Decided[0].State
				}
				if diff := cmp.Diff(c.want, s); diff != "" {
					t.Error(diff)
				}
				if f.Head.JobID != "j-1" || f.Head.Attempt != 1 || f.Head.Kubernetes.UID != "u-1" || f.Head.Tenant != "vision" {
					t.Errorf("head %+v", f.Head)
				}
			})
		}
	}
}

func TestProber_lookup(t *testing.T) {
	t.Parallel()
	other := func(o *batchv1.Job) { o.Name, o.UID = "again", "u-2"; o.Namespace = "etl" }
	unlabelled := func(o *batchv1.Job) { o.Labels = nil }
	foreign := label("resiliency.envision.dev/job-id", "j-10")
	cases := []struct {
		name       string
		objects    []runtime.Object
		list, live int // Jobs found
		pods       int // orphans, live
	}{
		{"nothing", nil, 0, 0, 0},
		{"another_job_whose_id_begins_alike", []runtime.Object{aJob(foreign, func(o *batchv1.Job) { o.UID = "u-10" })}, 0, 0, 0},
		{"in_two_namespaces", []runtime.Object{aJob(), aJob(other)}, 2, 2, 0},
		{"label_taken_away", []runtime.Object{aJob(unlabelled)}, 0, 1, 0},
		{"label_changed", []runtime.Object{aJob(foreign)}, 1, 1, 0},
		{"name_taken_by_another", []runtime.Object{aJob(unlabelled, func(o *batchv1.Job) { o.UID = "u-9" })}, 0, 0, 0},
		{"namespace_that_is_not_ours", []runtime.Object{aJob(func(o *batchv1.Job) { o.Namespace = "kube-system" })}, 0, 0, 0},
		{"pod_without_its_job", []runtime.Object{aPod(working)}, 0, 0, 1},
		{"pod_without_job_and_label", []runtime.Object{aPod(working, func(o *corev1.Pod) { delete(o.Labels, "resiliency.envision.dev/job-id") })}, 0, 0, 1},
		{"pod_that_has_ended", []runtime.Object{aPod(func(o *corev1.Pod) { o.Status.Phase = corev1.PodSucceeded })}, 0, 0, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := prober(fake.NewClientset(c.objects...), Config{ListFrom: 1})
			p.Prepare(t.Context(), 1)
			listed := p.Cluster(t.Context(), query())
			q := query()
			q.Live = true
			live := p.Cluster(t.Context(), q)
			if len(listed.Jobs) != c.list || len(live.Jobs) != c.live || len(live.Pods) != c.pods {
				t.Errorf("by list %+v\nlive %+v", listed, live)
			}
			for _, f := range live.Jobs {
				if f.Head.JobID != "j-1" {
					t.Errorf("found %+v", f)
				}
			}
		})
	}
}

func TestProber_unreadable(t *testing.T) {
	t.Parallel()
	bad := aJob(ready, func(o *batchv1.Job) { o.Annotations["resiliency.envision.dev/attempt"] = "zero" })
	got := prober(fake.NewClientset(bad), Config{}).Cluster(t.Context(), query())
	if len(got.Jobs) != 1 || got.Jobs[0].Head.JobID != "" || got.Jobs[0].Problem == "" || got.Jobs[0].Stand != judge.StandRunning {
		t.Errorf("got %+v", got)
	}
}

func TestProber_outside(t *testing.T) {
	t.Parallel()
	q := query()
	q.Namespace = "kube-system"
	got := prober(fake.NewClientset(), Config{}).Cluster(t.Context(), q)
	if got.Probe != judge.Failed || got.Fault.Kind != judge.FaultMisconfigured {
		t.Errorf("got %+v", got)
	}
}

func TestProber_Labelled(t *testing.T) {
	t.Parallel()
	client := fake.NewClientset(aJob(ready),
		aJob(condition(batchv1.JobComplete, ""), func(o *batchv1.Job) { o.Name, o.UID, o.Namespace = "b", "u-2", "etl" }, label("resiliency.envision.dev/job-id", "j-2")),
		aJob(func(o *batchv1.Job) { o.Name, o.UID = "c", "u-3" }, label("resiliency.envision.dev/job-id", "-bad-")),
		&batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "none", Namespace: "ml", UID: "u-4"}})
	for _, listed := range []bool{false, true} {
		p := prober(client, Config{ListFrom: 1, PageSize: 1})
		if listed {
			p.Prepare(context.Background(), 1)
		}
		got := map[string]Labelled{}
		if err := p.Labelled(t.Context(), func(l Labelled) { got[l.UID] = l }); err != nil {
			t.Fatal(err)
		}
		if len(got) != 3 || got["u-1"].Ended || len(got["u-1"].Claims) != 1 || !got["u-2"].Ended || got["u-2"].JobID != "j-2" || got["u-3"].Problem == "" {
			t.Errorf("got %+v", got)
		}
	}
}
