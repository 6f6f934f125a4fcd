package output

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fsouza/fake-gcs-server/fakestorage"
	"go.uber.org/goleak"
	"google.golang.org/api/option"

	"github.com/envision/resiliency/pkg/bucket"
	"github.com/envision/resiliency/services/recovery-job/internal/judge"
)

func TestMain(m *testing.M) {
	// The measuring library of the storage client works for the whole process.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"))
}

// gcs is a Cloud Storage server with the bucket "out"; its answer, when set, is
// that to every request.
func gcs(t *testing.T, answer *atomic.Int32, objects ...fakestorage.Object) *Prober {
	t.Helper()
	fake, err := fakestorage.NewServerWithOptions(fakestorage.Options{NoListener: true, Writer: io.Discard, InitialObjects: objects})
	if err != nil {
		t.Fatal(err)
	}
	fake.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: "out"})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch code := answer.Load(); {
		case code < 0:
			<-r.Context().Done()
		case code > 0:
			http.Error(w, "as the test asks", int(code))
		default:
			fake.HTTPHandler().ServeHTTP(w, r)
		}
	}))
	client, err := bucket.New(t.Context(), 0, option.WithoutAuthentication(), option.WithEndpoint(srv.URL+"/storage/v1/"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
		srv.CloseClientConnections()
		srv.Close()
		fake.Stop()
	})
	return New(client, 500*time.Millisecond)
}

func stored(name, content string, meta map[string]string) fakestorage.Object {
	return fakestorage.Object{
		ObjectAttrs: fakestorage.ObjectAttrs{BucketName: "out", Name: name, Metadata: meta}, Content: []byte(content),
	}
}

// later makes the question one asked an hour from now: the server dates objects
// by its own clock.
func later(q *judge.OutputQuery) {
	q.Now = time.Now().Add(time.Hour)
	q.Started = time.Now().Add(-time.Hour)
}

func TestProber_speaksToAServer(t *testing.T) {
	t.Parallel()
	objects := []fakestorage.Object{
		stored("meta/_SUCCESS", "", map[string]string{"attempt": "2"}), stored("meta/part", "x", nil),
		stored("json/_SUCCESS", `{"job_id":"j-1","uid":"u-1"}`, nil),
		stored("none/_SUCCESS", "", nil), stored("parts/a", "x", nil), stored("parts/b", "x", nil),
		stored("j-10/_SUCCESS", "", map[string]string{"attempt": "2"}), stored("folder/", "", nil),
	}
	cases := []struct {
		name, uri string
		edit      func(*judge.OutputQuery)
		want      judge.Finding
		objects   int
	}{
		{"metadata", "gs://out/meta/", nil, judge.OutputMarked, 0},
		{"content", "gs://out/json/", nil, judge.OutputMarked, 0},
		{"unsigned", "gs://out/none/", nil, judge.OutputUnsigned, 0},
		{"parts", "gs://out/parts", nil, judge.OutputIncomplete, 2},
		{"any_parts", "gs://out/parts", anything, judge.OutputObjects, 2},
		{"just_written", "gs://out/meta/", func(q *judge.OutputQuery) { q.Now = time.Now() }, judge.OutputUnsettled, 0},
		{"before_the_run", "gs://out/meta/", func(q *judge.OutputQuery) { q.Started = time.Now().Add(time.Minute) }, judge.OutputOld, 1},
		{"empty", "gs://out/j-1/", nil, judge.OutputEmpty, 0},
		{"folder", "gs://out/folder/", anything, judge.OutputEmpty, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			q := query(at(c.uri), later)
			if c.edit != nil {
				c.edit(&q)
			}
			got := gcs(t, &atomic.Int32{}, objects...).Output(t.Context(), q)
			if got.Finding != c.want || got.Objects != c.objects {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestProber_serverFaults(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, uri string
		code      int32
		want      judge.FaultKind
	}{
		{"no_such_bucket", "gs://gone/j-1/", 0, judge.FaultMisconfigured},
		{"403", "gs://out/j-1/", 403, judge.FaultRefused},
		{"401", "gs://out/j-1/", 401, judge.FaultRefused},
		{"429", "gs://out/j-1/", 429, judge.FaultUnavailable},
		{"500", "gs://out/j-1/", 500, judge.FaultUnavailable},
		{"503", "gs://out/j-1/", 503, judge.FaultUnavailable},
		{"no_answer", "gs://out/j-1/", -1, judge.FaultUnavailable},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var code atomic.Int32
			code.Store(c.code)
			got := gcs(t, &code).Output(t.Context(), query(at(c.uri), later))
			if got.Probe != judge.Failed || got.Fault.Kind != c.want || strings.TrimSpace(got.Fault.Err) == "" {
				t.Errorf("got %+v, want %s", got, c.want)
			}
		})
	}
}
