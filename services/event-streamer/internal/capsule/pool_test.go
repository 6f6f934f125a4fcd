package capsule

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/envision/resiliency/pkg/kube"
)

// failedNow is a pod that fails at this moment of the bubble.
func failedNow(uid string) *kube.Pod {
	p := failedPod(uid, 0)
	p.EndedAt = time.Now()
	return p
}

func TestPool_takesACapsule(t *testing.T) {
	t.Parallel()
	cluster := &fakeCluster{
		pod: func(name string) (*corev1.Pod, error) {
			ended := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 3}}
			return podNamed(name, corev1.ContainerStatus{Name: "side", State: ended, LastTerminationState: ended}), nil
		},
		events: func(uid types.UID) ([]corev1.Event, error) {
			return []corev1.Event{{Reason: "About", Message: string(uid)}}, nil
		},
	}
	bubble(t, setup{cluster: cluster}, func(t *testing.T, b *bench) {
		b.PodSeen(failedNow("a"), jobNamed("u-1"), false)
		synctest.Wait()
		sent := b.sender.sent()
		if len(sent) != 1 {
			t.Fatalf("%d capsules were sent, want 1", len(sent))
		}
		e, c := sent[0], sent[0].GetFailureCaptured()
		if e.GetJobId() != "j-17" || e.GetAttempt() != 1 || c.GetPod() != "train-a" || c.GetNode() != "node-1" || c.GetIncomplete() != "" {
			t.Errorf("got %s", protojson.Format(e))
		}
		var logs, events []string
		for _, l := range c.GetLogs() {
			logs = append(logs, fmt.Sprintf("%s %t %s", l.GetContainer(), l.GetPrevious(), l.GetTail()))
		}
		for _, n := range c.GetEvents() {
			events = append(events, n.GetReason()+" "+n.GetMessage())
		}
		if diff := cmp.Diff([]string{"work false log of work", "side false log of side", "side true log of side"}, logs); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"About a", "About u-1"}, events); diff != "" {
			t.Error(diff)
		}
		if b.result(t, resultComplete) != 1 || b.result(t, "") != 1 {
			t.Error("the capsule was not counted as complete")
		}
	})
}

// What is missing is named; the rest is there.
func TestPool_saysWhatIsMissing(t *testing.T) {
	t.Parallel()
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "p", errors.New("no"))
	logOf := func(text string, err error) func(context.Context, string, bool) (io.ReadCloser, error) {
		return func(context.Context, string, bool) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(text)), err
		}
	}
	cases := []struct {
		name    string
		cluster fakeCluster
		want    string
	}{
		{"pod_gone", fakeCluster{pod: func(name string) (*corev1.Pod, error) { return nil, gone(name) }}, "pod: it was gone"},
		{"another_pod", fakeCluster{pod: func(string) (*corev1.Pod, error) { return podNamed("train-z"), nil }}, "pod: another pod has its name now"},
		{"log_forbidden", fakeCluster{log: logOf("", forbidden)}, "log of container work: not permitted"},
		{"log_gone", fakeCluster{log: logOf("", gone("p"))}, "log of container work: it was gone"},
		{"node_down", fakeCluster{log: logOf("", errors.New(`dial tcp 10.0.0.1:10250: refused, token=abc1234`))}, "log of container work: dial tcp 10.0.0.1:10250: refused, token=REDACTED"},
		{"kubelet_has_none", fakeCluster{log: logOf("unable to retrieve container logs for containerd://0", nil)}, "log of container work: unable to retrieve container logs for containerd://0"},
		{"no_log", fakeCluster{log: logOf("", nil)}, ""},
		{"events_forbidden", fakeCluster{events: func(types.UID) ([]corev1.Event, error) { return nil, forbidden }}, "events of the pod: not permitted; events of the job: not permitted"},
		{"log_hangs", fakeCluster{log: hanging("line 1\nline 2\n")}, "log of container work: no answer in time"},
		{"nothing_comes", fakeCluster{log: func(ctx context.Context, _ string, _ bool) (io.ReadCloser, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}, "log of container work: no answer in time"},
	}
	for i := range cases {
		c := &cases[i]
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			bubble(t, setup{cluster: &c.cluster}, func(t *testing.T, b *bench) {
				began := time.Now()
				b.PodSeen(failedNow("a"), jobNamed("u-1"), false)
				b.await(t, 1)
				got := b.sender.sent()[0].GetFailureCaptured()
				if got.GetIncomplete() != c.want {
					t.Errorf("missing %q, want %q", got.GetIncomplete(), c.want)
				}
				if c.name == "log_hangs" && got.GetLogs()[0].GetTail() != "line 1\nline 2" {
					t.Errorf("what was read before it hung is lost: %v", got.GetLogs())
				}
				if took := time.Since(began); took > 6*time.Second {
					t.Errorf("took %s", took)
				}
			})
		})
	}
}

// An API server that is away for a moment costs no capsule.
func TestPool_asksAgainForThePod(t *testing.T) {
	t.Parallel()
	tries := 0
	cluster := &fakeCluster{pod: func(name string) (*corev1.Pod, error) {
		if tries++; tries < 4 {
			return nil, errors.New("connection refused")
		}
		return podNamed(name), nil
	}}
	bubble(t, setup{cluster: cluster}, func(t *testing.T, b *bench) {
		b.PodSeen(failedNow("a"), jobNamed("u-1"), false)
		b.await(t, 1)
		if c := b.sender.sent()[0].GetFailureCaptured(); c.GetIncomplete() != "" || len(c.GetLogs()) != 1 {
			t.Errorf("capsule %v", c)
		}
	})
}

// hanging gives a log that stops in the middle.
func hanging(text string) func(context.Context, string, bool) (io.ReadCloser, error) {
	return func(ctx context.Context, _ string, _ bool) (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(strings.NewReader(text), readFunc(func() (int, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		}))), nil
	}
}

type readFunc func() (int, error)

func (f readFunc) Read([]byte) (int, error) { return f() }

// await lets time pass until so many capsules were sent.
func (b *bench) await(t *testing.T, n int) {
	t.Helper()
	for range 1000 {
		synctest.Wait()
		if len(b.sender.sent()) >= n {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("%d capsules were sent, want %d", len(b.sender.sent()), n)
}

// A node that hangs costs one deadline, not one for each of its pods, and those of
// other nodes need not wait for long.
func TestPool_asksASilentNodeOnlyOnce(t *testing.T) {
	t.Parallel()
	cluster := &fakeCluster{log: hanging("")}
	bubble(t, setup{cluster: cluster}, func(t *testing.T, b *bench) {
		const pods = 200
		began := time.Now()
		for i := range pods {
			b.PodSeen(failedNow(fmt.Sprint(i)), jobNamed(fmt.Sprint("u-", i)), false)
		}
		if took := time.Since(began); took != 0 {
			t.Fatalf("hearing of it took %s: it must never wait", took)
		}
		b.await(t, pods)
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("200 pods took %s", took)
		}
		if n := cluster.called("log"); n > 4 {
			t.Errorf("the node was asked %d times, want once for each worker", n)
		}
		if cluster.peak > 4 {
			t.Errorf("%d logs were read at once", cluster.peak)
		}
		time.Sleep(silentFor)
		cluster.mu.Lock()
		cluster.log = nil
		cluster.mu.Unlock()
		b.PodSeen(failedNow("later"), jobNamed("u-later"), false)
		b.await(t, pods+1)
		if c := b.sender.sent()[pods].GetFailureCaptured(); c.GetIncomplete() != "" {
			t.Errorf("a node that answers again is not asked: %s", c.GetIncomplete())
		}
	})
}

func TestPool_dropsTheOldest(t *testing.T) {
	t.Parallel()
	cluster := &fakeCluster{log: hanging("")}
	bubble(t, setup{cfg: Config{Workers: 1, Queue: 3}, cluster: cluster}, func(t *testing.T, b *bench) {
		for _, uid := range strings.Fields("a b c d e f") {
			b.PodSeen(failedNow(uid), jobNamed("u-"+uid), false)
			synctest.Wait() // the worker takes a, and hangs
		}
		if got := b.value(t, "event_streamer_waiting_capsules", ""); got != 3 {
			t.Errorf("%v wait, want 3", got)
		}
		b.await(t, 4)
		if diff := cmp.Diff([]string{"a", "d", "e", "f"}, b.sender.pods()); diff != "" {
			t.Error(diff)
		}
		if b.result(t, resultDropped) != 2 {
			t.Error("what was dropped was not counted")
		}
	})
}

func TestPool_firstAndLast(t *testing.T) {
	t.Parallel()
	bubble(t, setup{}, func(t *testing.T, b *bench) {
		j := jobNamed("u-1")
		var last *kube.Pod
		for _, uid := range strings.Fields("a b c d") {
			last = failedNow(uid)
			b.PodSeen(last, j, false)
			b.PodSeen(last, j, false) // each is seen more than once
			time.Sleep(10 * time.Second)
		}
		b.JobSeen(jobNamed("u-1", backoffLimit(last)))
		synctest.Wait()
		b.JobGone(j)
		b.PodSeen(last, j, true)
		synctest.Wait()
		if diff := cmp.Diff([]string{"a", "d"}, b.sender.pods()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestPool_ignores(t *testing.T) {
	t.Parallel()
	bubble(t, setup{}, func(t *testing.T, b *bench) {
		old := failedNow("old")
		old.EndedAt = time.Now().Add(-11 * time.Minute)
		b.PodSeen(old, jobNamed("u-1"), false)
		b.PodSeen(restarted("fine"), jobNamed("u-2"), false)
		unreadable := jobNamed("u-3")
		unreadable.JobID = "not/an/id"
		b.PodSeen(failedNow("x"), unreadable, false)
		overdue := jobNamed("u-4", kube.Condition{Type: "FailureTarget", True: true, Reason: "DeadlineExceeded", At: time.Now()})
		killed := restarted("killed")
		b.PodSeen(killed, overdue, true)
		b.JobSeen(jobNamed("u-5", backoffLimit(old)))
		cancelled := failedNow("cancelled")
		cancelled.Cancelled = true
		b.PodSeen(cancelled, jobNamed("u-6"), false)
		b.PodSeen(cancelled, overdue, true)
		synctest.Wait()
		if got := b.sender.pods(); got != nil {
			t.Errorf("capsules of %v", got)
		}
		// The same pod while it is still there: it says why it hung.
		b.PodSeen(killed, overdue, false)
		synctest.Wait()
		if diff := cmp.Diff([]string{"killed"}, b.sender.pods()); diff != "" {
			t.Error(diff)
		}
	})
}

// A standby takes nothing. When it takes over it takes what the leader may have
// missed, and drops what the leader has had time for.
func TestPool_standby(t *testing.T) {
	t.Parallel()
	bubble(t, setup{standby: true}, func(t *testing.T, b *bench) {
		b.PodSeen(failedNow("long-ago"), jobNamed("u-1"), false)
		time.Sleep(2 * time.Minute)
		b.PodSeen(failedNow("just-now"), jobNamed("u-2"), false)
		synctest.Wait()
		if n := b.cluster.called("pod"); n != 0 {
			t.Fatalf("a standby asked for %d pods", n)
		}
		time.Sleep(time.Second)
		b.Lead()
		synctest.Wait()
		if diff := cmp.Diff([]string{"just-now"}, b.sender.pods()); diff != "" {
			t.Error(diff)
		}
		b.Stand()
		b.PodSeen(failedNow("not-mine"), jobNamed("u-3"), false)
		synctest.Wait()
		if diff := cmp.Diff([]string{"just-now"}, b.sender.pods()); diff != "" {
			t.Error(diff)
		}
	})
}

// Two replicas, or one that was started again, give a capsule one id; and one that
// comes too late to find the log says nothing over what was said in time.
func TestPool_repeats(t *testing.T) {
	t.Parallel()
	ids := map[string]bool{}
	for range 2 {
		bubble(t, setup{standby: true}, func(_ *testing.T, b *bench) {
			b.PodSeen(failedNow("a"), jobNamed("u-1"), false)
			time.Sleep(time.Second)
			b.Lead()
			synctest.Wait()
			for _, e := range b.sender.sent() {
				ids[e.GetEventId()] = true
			}
		})
	}
	if len(ids) != 1 {
		t.Errorf("ids %v, want one", ids)
	}
	// Its Events alone would fill the bucket's object, where the whole capsule is.
	store, long := &fakeStore{}, corev1.Event{Reason: "Failed", Message: strings.Repeat("too long for an event ", 1000)}
	late := &fakeCluster{
		log:    func(context.Context, string, bool) (io.ReadCloser, error) { return nil, gone("log") },
		events: func(types.UID) ([]corev1.Event, error) { return slices.Repeat([]corev1.Event{long}, 20), nil },
	}
	bubble(t, setup{cluster: late, store: store, standby: true}, func(t *testing.T, b *bench) {
		b.PodSeen(failedNow("a"), jobNamed("u-1"), false)
		time.Sleep(time.Second)
		b.Lead()
		synctest.Wait()
		if got := b.sender.pods(); got != nil || b.result(t, resultLate) != 1 {
			t.Errorf("capsules of %v", got)
		}
		if len(store.objects) != 0 {
			t.Errorf("%d capsules in the bucket, want those of before left alone", len(store.objects))
		}
	})
}
