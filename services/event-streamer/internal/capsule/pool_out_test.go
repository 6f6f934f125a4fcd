package capsule

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	corev1 "k8s.io/api/core/v1"

	"github.com/envision/resiliency/pkg/resilience"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

func TestPool_bucket(t *testing.T) {
	t.Parallel()
	long := func(context.Context, string, bool) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(strings.Repeat(strings.Repeat("x", 99)+"\n", 500))), nil
	}
	for _, fail := range []error{nil, errors.New("bucket is gone")} {
		store := &fakeStore{err: fail}
		bubble(t, setup{cluster: &fakeCluster{log: long}, store: store}, func(t *testing.T, b *bench) {
			b.PodSeen(failedNow("a"), jobNamed("u-1"), false)
			b.PodSeen(failedNow("b"), jobNamed("u-2"), false)
			synctest.Wait()
			for _, e := range b.sender.sent() {
				c := e.GetFailureCaptured()
				if l := c.GetLogs()[0]; len(l.GetTail()) > 24<<10 || !l.GetTruncated() {
					t.Errorf("%d bytes, truncated %t", len(l.GetTail()), l.GetTruncated())
				}
				if fail != nil {
					if c.GetUri() != "" || c.GetIncomplete() != "what is cut here, in the bucket: bucket is gone" {
						t.Errorf("uri %q, missing %q", c.GetUri(), c.GetIncomplete())
					}
					continue
				}
				whole := new(resiliencyv1.FailureCaptured)
				data := store.objects[strings.TrimPrefix(c.GetUri(), "gs://b/")]
				if err := protojson.Unmarshal(data, whole); err != nil || len(whole.GetLogs()[0].GetTail()) != 50_000-1 {
					t.Errorf("the bucket has %d bytes at %s, %v", len(data), c.GetUri(), err)
				}
			}
			if len(store.objects) != 2 {
				t.Errorf("%d objects, want 2", len(store.objects))
			}
		})
	}
	// Small ones need no bucket.
	store := &fakeStore{}
	bubble(t, setup{store: store}, func(t *testing.T, b *bench) {
		b.PodSeen(failedNow("a"), jobNamed("u-1"), false)
		synctest.Wait()
		if len(b.sender.sent()) != 1 || len(store.objects) != 0 {
			t.Errorf("%d capsules, %d objects", len(b.sender.sent()), len(store.objects))
		}
	})
}

// While Pub/Sub is down capsules wait, in a bounded number, and come in the end.
func TestPool_outage(t *testing.T) {
	t.Parallel()
	down := true
	sender := &fakeSender{outcome: func(int) error {
		if down {
			return resilience.Dependency("pubsub", errors.New("down"))
		}
		return nil
	}}
	bubble(t, setup{cfg: Config{Queue: 1000}, sender: sender}, func(t *testing.T, b *bench) {
		const pods = 300
		for i := range pods {
			b.PodSeen(failedNow(fmt.Sprint(i)), jobNamed(fmt.Sprint("u-", i)), false)
		}
		time.Sleep(time.Minute)
		if n := b.cluster.called("pod"); n > unsent+maxBatch+4 {
			t.Errorf("%d capsules are held in memory", n)
		}
		sender.mu.Lock()
		down = false
		sender.mu.Unlock()
		b.await(t, pods)
	})
}

func TestPool_refused(t *testing.T) {
	t.Parallel()
	sender := &fakeSender{outcome: func(try int) error {
		if try == 1 {
			return resilience.Permanent(errors.New("too large"))
		}
		return nil
	}}
	bubble(t, setup{sender: sender}, func(t *testing.T, b *bench) {
		b.PodSeen(failedNow("a"), jobNamed("u-1"), false)
		synctest.Wait()
		b.PodSeen(failedNow("b"), jobNamed("u-2"), false)
		synctest.Wait()
		if diff := cmp.Diff([]string{"b"}, b.sender.pods()); diff != "" || b.result(t, resultRefused) != 1 {
			t.Error(diff)
		}
	})
}

// The end comes within the budget, whatever hangs, and an unfinished capsule is
// not published: the next leader takes the whole one.
func TestPool_ends(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]setup{
		"idle":          {},
		"standby":       {standby: true},
		"cluster_hangs": {cluster: &fakeCluster{log: hanging("half")}},
		"pubsub_down":   {sender: &fakeSender{outcome: func(int) error { return resilience.Dependency("pubsub", errors.New("down")) }}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.cfg.Flush = 2 * time.Second
			bubble(t, s, func(t *testing.T, b *bench) {
				if name != "idle" {
					for i := range 100 {
						b.PodSeen(failedNow(fmt.Sprint(i)), jobNamed(fmt.Sprint("u-", i)), false)
					}
				}
				synctest.Wait()
				began := time.Now()
				b.stop()
				if took := time.Since(began); took > 2100*time.Millisecond {
					t.Errorf("the end took %s, want at most 2 s", took)
				}
				if got := b.sender.pods(); got != nil {
					t.Errorf("capsules of %v", got)
				}
			})
		})
	}
}

// A capsule in hand when the process ends is finished and published.
func TestPool_finishesWhatIsInHand(t *testing.T) {
	t.Parallel()
	slow := &fakeCluster{log: func(context.Context, string, bool) (io.ReadCloser, error) {
		time.Sleep(500 * time.Millisecond)
		return io.NopCloser(bytes.NewReader([]byte("last words"))), nil
	}}
	bubble(t, setup{cfg: Config{Flush: 2 * time.Second}, cluster: slow}, func(t *testing.T, b *bench) {
		b.PodSeen(failedNow("a"), jobNamed("u-1"), false)
		synctest.Wait()
		b.stop()
		if diff := cmp.Diff([]string{"a"}, b.sender.pods()); diff != "" {
			t.Error(diff)
		}
	})
}

// A panic costs one capsule.
func TestPool_panics(t *testing.T) {
	t.Parallel()
	cluster := &fakeCluster{pod: func(name string) (*corev1.Pod, error) {
		if name == "train-a" {
			panic("bad pod")
		}
		return podNamed(name), nil
	}}
	bubble(t, setup{cfg: Config{Workers: 1}, cluster: cluster}, func(t *testing.T, b *bench) {
		j := jobNamed("u-1")
		b.PodSeen(failedNow("a"), j, false)
		synctest.Wait()
		time.Sleep(time.Second)
		last := failedNow("b")
		b.PodSeen(last, j, false)
		b.JobSeen(jobNamed("u-1", backoffLimit(last)))
		synctest.Wait()
		if diff := cmp.Diff([]string{"b"}, b.sender.pods()); diff != "" || b.result(t, resultFailed) != 1 {
			t.Error(diff)
		}
	})
}
