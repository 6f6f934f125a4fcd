package cluster

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/envision/resiliency/pkg/kube"
	"github.com/envision/resiliency/services/recovery-job/internal/judge"
)

// server is an API server that answers what a test wants.
func server(t *testing.T, handle http.HandlerFunc) kubernetes.Interface {
	t.Helper()
	srv := httptest.NewServer(handle)
	transport := &http.Transport{}
	t.Cleanup(func() { transport.CloseIdleConnections(); srv.CloseClientConnections(); srv.Close() })
	client, err := kubernetes.NewForConfig(&rest.Config{Host: srv.URL, QPS: -1, Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// empty answers that nothing is there, as an API server does.
func empty(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasSuffix(r.URL.Path, "/jobs"):
		send(w, http.StatusOK, batchv1.JobList{TypeMeta: metav1.TypeMeta{Kind: "JobList", APIVersion: "batch/v1"}})
	case strings.HasSuffix(r.URL.Path, "/pods"):
		send(w, http.StatusOK, corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}})
	default:
		status(w, http.StatusNotFound, metav1.StatusReasonNotFound)
	}
}

func status(w http.ResponseWriter, code int32, reason metav1.StatusReason) {
	send(w, int(code), metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure,
		Code: code, Reason: reason, Message: "as the test asks", Details: &metav1.StatusDetails{Name: "train", Group: "batch", Kind: "jobs"},
	})
}

func send(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		panic(err) // a test's own object
	}
}

// No error is ever an answer, whichever call it hits.
func TestProber_faults(t *testing.T) {
	t.Parallel()
	answers := []struct {
		name  string
		fault http.HandlerFunc
		want  judge.FaultKind
	}{
		{"500", func(w http.ResponseWriter, _ *http.Request) { status(w, 500, metav1.StatusReasonInternalError) }, judge.FaultUnavailable},
		{"503", func(w http.ResponseWriter, _ *http.Request) { status(w, 503, metav1.StatusReasonServiceUnavailable) }, judge.FaultUnavailable},
		{"429", func(w http.ResponseWriter, _ *http.Request) { status(w, 429, metav1.StatusReasonTooManyRequests) }, judge.FaultUnavailable},
		{"403", func(w http.ResponseWriter, _ *http.Request) { status(w, 403, metav1.StatusReasonForbidden) }, judge.FaultRefused},
		{"401", func(w http.ResponseWriter, _ *http.Request) { status(w, 401, metav1.StatusReasonUnauthorized) }, judge.FaultRefused},
		{"a_proxys_404", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>404</html>", http.StatusNotFound) }, judge.FaultUnavailable},
		{"never", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, judge.FaultUnavailable},
		{"no_json", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }, judge.FaultUnavailable},
	}
	calls := []struct{ name, path string }{
		{"jobs", "/namespaces/ml/jobs"}, {"pods", "/namespaces/etl/pods"}, {"job", "/namespaces/ml/jobs/train"},
	}
	for _, a := range answers {
		for _, c := range calls {
			t.Run(a.name+"_"+c.name, func(t *testing.T) {
				t.Parallel()
				client := server(t, func(w http.ResponseWriter, r *http.Request) {
					if strings.HasSuffix(r.URL.Path, c.path) {
						a.fault(w, r)
						return
					}
					empty(w, r)
				})
				p := prober(client, Config{Timeout: 300 * time.Millisecond, ListTimeout: 300 * time.Millisecond, ListPause: time.Millisecond, ListFrom: 1})
				got := []judge.Cluster{p.Cluster(t.Context(), query())}
				if c.name != "job" {
					p.Prepare(t.Context(), 1)
					got = append(got, p.Cluster(t.Context(), query()))
				}
				for _, g := range got {
					if g.Probe != judge.Failed || g.Fault.Kind != a.want || g.Fault.Err == "" {
						t.Errorf("got %+v", g)
					}
				}
			})
		}
	}
}

func TestProber_aClusterThatIsGone(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.NotFoundHandler())
	host := srv.URL
	srv.Close()
	client, err := kubernetes.NewForConfig(&rest.Config{Host: host})
	if err != nil {
		t.Fatal(err)
	}
	got := prober(client, Config{Timeout: time.Second}).Cluster(t.Context(), query())
	if got.Probe != judge.Failed || got.Fault.Kind != judge.FaultUnavailable {
		t.Errorf("got %+v", got)
	}
}

func TestProber_missingForCertain(t *testing.T) {
	t.Parallel()
	got := prober(server(t, empty), Config{}).Cluster(t.Context(), query())
	if got.Probe != judge.Answered || !got.Live || len(got.Jobs)+len(got.Pods) != 0 {
		t.Errorf("got %+v", got)
	}
}

// A list whose pages expire is begun again, and is never taken for whole before
// its last page.
func TestProber_pages(t *testing.T) {
	t.Parallel()
	const never = listTries * listRounds // comes to its end
	for _, expiries := range []int32{0, 1, never} {
		t.Run(fmt.Sprintf("expired_%d_times", expiries), func(t *testing.T) {
			t.Parallel()
			var expired, calls atomic.Int32
			client := server(t, func(w http.ResponseWriter, r *http.Request) {
				if !strings.HasSuffix(r.URL.Path, "/namespaces/ml/jobs") {
					empty(w, r)
					return
				}
				calls.Add(1)
				page := batchv1.JobList{TypeMeta: metav1.TypeMeta{Kind: "JobList", APIVersion: "batch/v1"}}
				switch {
				case r.URL.Query().Get("limit") != "1":
					t.Errorf("asked for %s", r.URL.RawQuery)
				case r.URL.Query().Get("continue") == "":
					page.Continue = "next"
					page.Items = []batchv1.Job{*aJob(func(o *batchv1.Job) { o.UID, o.Labels["resiliency.envision.dev/job-id"] = "u-0", "j-0" })}
				case expired.Add(1) <= expiries:
					status(w, http.StatusGone, metav1.StatusReasonExpired)
					return
				default:
					page.Items = []batchv1.Job{*aJob(ready)}
				}
				send(w, http.StatusOK, page)
			})
			p := prober(client, Config{PageSize: 1, ListFrom: 1, ListPause: time.Millisecond})
			p.Prepare(t.Context(), 1)
			got := p.Cluster(t.Context(), query())
			if expiries == never {
				if got.Probe != judge.Failed {
					t.Errorf("got %+v of a list that never came to its end", got)
				}
				return
			}
			if got.Probe != judge.Answered || len(got.Jobs) != 1 || calls.Load() != 2+2*expiries {
				t.Errorf("got %+v after %d calls", got, calls.Load())
			}
		})
	}
}

// A list that fails is tried again, soon and then now and then: one bad moment of
// the API server must not spoil the whole run.
func TestProber_aListThatFailed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		faults int32
		// soon and later say whether there is an answer at once, and a minute later.
		soon, later judge.Probe
		lists       int32
	}{
		{"once", 1, judge.Answered, judge.Answered, 2},
		{"each_time", listRounds, judge.Failed, judge.Answered, listRounds + 1},
		{"for_long", 2 * listRounds, judge.Failed, judge.Failed, 2 * listRounds},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var lists atomic.Int32
			client := server(t, func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/namespaces/ml/jobs") && lists.Add(1) <= c.faults {
					status(w, http.StatusInternalServerError, metav1.StatusReasonInternalError)
					return
				}
				empty(w, r)
			})
			now := noon()
			p := prober(client, Config{ListPause: time.Millisecond})
			p.now = func() time.Time { return now }
			ask := func() judge.Probe {
				p.Prepare(t.Context(), 20)
				return p.Cluster(t.Context(), judge.ClusterQuery{JobID: "j-1"}).Probe
			}
			soon, again := ask(), ask()
			now = now.Add(time.Minute)
			later, last := ask(), ask()
			if soon != c.soon || again != c.soon || later != c.later || last != c.later || lists.Load() != c.lists {
				t.Errorf("soon %v and %v, later %v and %v, with %d lists", soon, again, later, last, lists.Load())
			}
		})
	}
}

// Whoever asks while a list that failed is tried again waits for what comes of it.
func TestProber_aListThatIsTriedAgain(t *testing.T) {
	t.Parallel()
	var lists atomic.Int32
	second, goOn := make(chan struct{}), make(chan struct{})
	client := server(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/namespaces/ml/jobs") {
			switch lists.Add(1) {
			case 1:
				status(w, http.StatusInternalServerError, metav1.StatusReasonInternalError)
				return
			case 2:
				close(second)
				<-goOn
			}
		}
		empty(w, r)
	})
	p := prober(client, Config{ListPause: time.Millisecond})
	ask := func() {
		p.Prepare(t.Context(), 20)
		if got := p.Cluster(t.Context(), judge.ClusterQuery{JobID: "j-1"}); got.Probe != judge.Answered || got.Live {
			t.Errorf("got %+v", got)
		}
	}
	var group sync.WaitGroup
	group.Go(ask)
	<-second
	if p.listed() {
		t.Error("the list that failed counts while it is tried again: nobody waits for the next")
	}
	group.Go(ask)
	close(goOn)
	group.Wait()
	if lists.Load() != 2 {
		t.Errorf("%d lists", lists.Load())
	}
}

// Labelled keeps to a list that failed only for as long as questions do: nothing
// makes the next one before it.
func TestProber_Labelled_afterAListThatFailed(t *testing.T) {
	t.Parallel()
	var lists atomic.Int32
	client := server(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !strings.HasSuffix(r.URL.Path, "/namespaces/ml/jobs"):
			empty(w, r)
		case lists.Add(1) <= listRounds:
			status(w, http.StatusInternalServerError, metav1.StatusReasonInternalError)
		default:
			send(w, http.StatusOK, batchv1.JobList{
				TypeMeta: metav1.TypeMeta{Kind: "JobList", APIVersion: "batch/v1"}, Items: []batchv1.Job{*aJob(ready)},
			})
		}
	})
	now := noon()
	p := prober(client, Config{ListPause: time.Millisecond})
	p.now = func() time.Time { return now }
	p.Prepare(t.Context(), 20)
	found := 0
	labelled := func() error { return p.Labelled(t.Context(), func(Labelled) { found++ }) }
	if err := labelled(); err == nil || found != 0 || lists.Load() != listRounds {
		t.Errorf("soon: %v, %d found with %d lists", err, found, lists.Load())
	}
	now = now.Add(time.Minute)
	if err := labelled(); err != nil || found != 1 || lists.Load() != listRounds+1 {
		t.Errorf("a minute later: %v, %d found with %d lists", err, found, lists.Load())
	}
}

// inProcess is an API server without a network, for the clock of a bubble.
type inProcess http.HandlerFunc

func (s inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := httptest.NewRecorder()
	s(answer, r)
	return answer.Result(), nil
}

// Many namespaces make many calls, which take turns: that a question has to wait
// for others is no failure of the API server.
func TestProber_manyNamespaces(t *testing.T) {
	t.Parallel()
	const namespaces, atOnce = 40, 16
	synctest.Test(t, func(t *testing.T) {
		client, err := kubernetes.NewForConfig(&rest.Config{
			Host: "http://api", QPS: callsPerSecond, Burst: callsAtOnce, Transport: inProcess(empty),
		})
		if err != nil {
			t.Fatal(err)
		}
		mapper := &kube.Mapper{Cluster: "c1", Reporter: "test", Tenants: map[string]string{"ml": "vision"}}
		for i := 1; i < namespaces; i++ {
			mapper.Tenants[fmt.Sprint("ns-", i)] = "vision"
		}
		p := New(client, mapper, Config{}, time.Now, zerolog.Nop())
		var group sync.WaitGroup
		for range atOnce {
			group.Go(func() {
				q := query()
				q.Live = true
				if got := p.Cluster(t.Context(), q); got.Probe != judge.Answered || !got.Live {
					t.Errorf("got %+v", got)
				}
			})
		}
		began := time.Now()
		group.Wait()
		if took := time.Since(began); took < p.cfg.Timeout {
			t.Errorf("it took %s: the questions did not have to wait", took)
		}
	})
}

// Many questions cost one list; few are asked one by one.
func TestProber_Prepare(t *testing.T) {
	t.Parallel()
	for questions, want := range map[int]int32{19: 5 * 19, 20: 4} {
		t.Run(fmt.Sprint(questions), func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int32
			client := server(t, func(w http.ResponseWriter, r *http.Request) { calls.Add(1); empty(w, r) })
			p := prober(client, Config{})
			p.Prepare(t.Context(), questions)
			for range questions {
				if got := p.Cluster(t.Context(), judge.ClusterQuery{JobID: "j-1", Namespace: "ml", UID: "u-1"}); got.Probe != judge.Answered {
					t.Fatalf("got %+v", got)
				}
			}
			if calls.Load() != want {
				t.Errorf("%d calls, want %d", calls.Load(), want)
			}
		})
	}
}
