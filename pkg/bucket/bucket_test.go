package bucket_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"google.golang.org/api/option"

	"github.com/envision/resiliency/pkg/bucket"
	"github.com/envision/resiliency/pkg/resilience"
)

// server speaks as much of Cloud Storage's JSON API as the client uses.
type server struct {
	mu      sync.Mutex
	objects map[string][]byte
	// answer, when set, is the status of every request, or of the first answers.
	answer, answers int
	calls           int
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if s.answer != 0 && (s.answers == 0 || s.calls <= s.answers) {
		w.WriteHeader(s.answer)
		fmt.Fprintf(w, `{"error":{"code":%d,"message":"as the test asks"}}`, s.answer)
		return
	}
	path := r.URL.Path
	switch {
	case strings.Contains(path, "/upload/"):
		s.upload(w, r)
	case strings.HasSuffix(path, "/b/there"):
		_, _ = io.WriteString(w, `{"name":"there"}`)
	default:
		s.get(w, r, path[strings.Index(path, "/o/")+3:])
	}
}

// state is what is kept of an object, and how many requests there were.
func (s *server) state(object string) (data []byte, calls int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.objects[object], s.calls
}

func (s *server) upload(w http.ResponseWriter, r *http.Request) {
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	parts := multipart.NewReader(r.Body, params["boundary"])
	var meta struct{ Name string }
	for i := range 2 {
		part, err := parts.NextPart()
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		data, _ := io.ReadAll(part)
		if i == 0 {
			_ = json.Unmarshal(data, &meta)
			continue
		}
		s.objects[meta.Name] = data
	}
	sum := crc32.Checksum(s.objects[meta.Name], crc32.MakeTable(crc32.Castagnoli))
	check := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, sum))
	fmt.Fprintf(w, `{"name":%q,"bucket":"there","crc32c":%q}`, meta.Name, check)
}

func (s *server) get(w http.ResponseWriter, r *http.Request, name string) {
	data, ok := s.objects[name]
	switch {
	case !ok:
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"error":{"code":404,"message":"No such object"}}`)
	case r.URL.Query().Get("alt") == "media":
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(data))
	default:
		fmt.Fprintf(w, `{"name":%q,"size":"%d","updated":"2026-11-21T10:00:00Z"}`, name, len(data))
	}
}

func client(t *testing.T, s *server, timeout time.Duration) *bucket.Client {
	t.Helper()
	s.objects = map[string][]byte{}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	c, err := bucket.New(t.Context(), timeout, option.WithoutAuthentication(),
		option.WithEndpoint(srv.URL+"/storage/v1/"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestClient_KeepsWhatItIsGiven(t *testing.T) {
	t.Parallel()
	c := client(t, &server{}, 0)
	data := bytes.Repeat([]byte{0, 1, 0xff}, 1<<20)
	for range 2 { // the second time is as good as the first
		if err := c.Put(t.Context(), "there", "a/b", data); err != nil {
			t.Fatal(err)
		}
	}
	got, err := c.Get(t.Context(), "there", "a/b", int64(len(data)))
	if err != nil || !bytes.Equal(got, data) {
		t.Fatalf("Get = %d bytes, %v; want %d", len(got), err, len(data))
	}
	object, err := c.Object(t.Context(), "there", "a/b")
	want := bucket.Object{Name: "a/b", Size: int64(len(data)), Updated: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)}
	if diff := gocmp.Diff(want, object); err != nil || diff != "" {
		t.Error(err, diff)
	}
	_, getErr := c.Get(t.Context(), "there", "a/b", 10)
	_, _, openErr := c.Open(t.Context(), "there", "a/b", 10)
	for _, err := range []error{getErr, openErr} {
		if !errors.Is(err, bucket.ErrTooLarge) || !resilience.IsPermanent(err) {
			t.Errorf("beyond the limit: %v, want a permanent ErrTooLarge", err)
		}
	}
	if err := c.Check(t.Context(), "there"); err != nil {
		t.Error(err)
	}
}

func TestClient_ErrorsHaveCategories(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name    string
		answer  int
		timeout time.Duration // short where the client would try again for long
		want    resilience.Category
	}{
		{"bad_request", http.StatusBadRequest, 0, resilience.CategoryPermanent},
		{"forbidden", http.StatusForbidden, 0, resilience.CategoryDependency},
		{"unavailable", http.StatusServiceUnavailable, 300 * time.Millisecond, resilience.CategoryDependency},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := client(t, &server{answer: c.answer}, c.timeout)
			_, getErr := b.Get(t.Context(), "there", "x", 10)
			_, lookErr := b.Object(t.Context(), "there", "x")
			openCtx, cancel := context.WithTimeout(t.Context(), cmp.Or(c.timeout, bucket.DefaultTimeout))
			defer cancel()
			_, _, openErr := b.Open(openCtx, "there", "x", 10)
			for _, err := range []error{b.Put(t.Context(), "there", "x", []byte("y")), getErr, lookErr, openErr} {
				if err == nil || resilience.CategoryOf(err) != c.want {
					t.Errorf("error = %v (%s), want category %s", err, resilience.CategoryOf(err), c.want)
				}
			}
		})
	}
}

// A server that is restarted answers one request with an error, and the next one
// as ever.
func TestClient_PutIsRepeated(t *testing.T) {
	t.Parallel()
	for _, once := range []int{http.StatusServiceUnavailable, http.StatusTooManyRequests, http.StatusInternalServerError} {
		s := &server{answer: once, answers: 1}
		c := client(t, s, time.Minute)
		data := bytes.Repeat([]byte{7}, 1<<20)
		err := c.Put(t.Context(), "there", "a", data)
		kept, calls := s.state("a")
		if err != nil || !bytes.Equal(kept, data) || calls != 2 {
			t.Errorf("%d once: %v, %d bytes after %d calls", once, err, len(kept), calls)
		}
	}
	for status, want := range map[int]int{http.StatusForbidden: 1, http.StatusServiceUnavailable: 3} {
		s := &server{answer: status}
		err := client(t, s, time.Minute).Put(t.Context(), "there", "a", []byte("x"))
		if _, calls := s.state("a"); err == nil || calls != want {
			t.Errorf("always %d: %v after %d calls, want %d", status, err, calls, want)
		}
	}
}

// What is passed on is not held: the first bytes are there before the last are sent.
func TestClient_OpenReadsAsItComes(t *testing.T) {
	t.Parallel()
	const half = 1 << 20
	got := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(2*half))
		_, _ = w.Write(make([]byte, half))
		_ = http.NewResponseController(w).Flush()
		<-got
		_, _ = w.Write(make([]byte, half))
	}))
	t.Cleanup(srv.Close)
	c, err := bucket.New(t.Context(), 0, option.WithoutAuthentication(), option.WithEndpoint(srv.URL+"/storage/v1/"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	content, size, err := c.Open(ctx, "there", "x", 2*half)
	if err != nil || size != 2*half {
		close(got)
		t.Fatalf("Open = %d bytes, %v", size, err)
	}
	_, err = io.CopyN(io.Discard, content, half)
	close(got)
	rest, restErr := io.Copy(io.Discard, content)
	if err != nil || restErr != nil || rest != half || content.Close() != nil {
		t.Errorf("read %v, then %d bytes, %v", err, rest, restErr)
	}
}

func TestClient_MissingObjects(t *testing.T) {
	t.Parallel()
	c := client(t, &server{}, 0)
	_, getErr := c.Get(t.Context(), "there", "gone", 10)
	_, lookErr := c.Object(t.Context(), "there", "gone")
	_, _, openErr := c.Open(t.Context(), "there", "gone", 10)
	for _, err := range []error{getErr, lookErr, openErr} {
		if !errors.Is(err, bucket.ErrNotFound) || !resilience.IsPermanent(err) {
			t.Errorf("error = %v, want a permanent ErrNotFound", err)
		}
	}
}

func TestClient_CallerMayGiveUp(t *testing.T) {
	t.Parallel()
	c := client(t, &server{}, 0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Object(ctx, "there", "x"); resilience.CategoryOf(err) != resilience.CategoryRetryable {
		t.Errorf("error = %v, want a retryable one: it says nothing of the bucket", err)
	}
}

func TestParseURI(t *testing.T) {
	t.Parallel()
	b, o, err := bucket.ParseURI(bucket.URI("b", "x/y"))
	if err != nil || b != "b" || o != "x/y" {
		t.Errorf("ParseURI = %q, %q, %v", b, o, err)
	}
	for _, bad := range []string{"", "gs://", "gs://b", "gs://b/", "gs:///o", "s3://b/o"} {
		if _, _, err := bucket.ParseURI(bad); !resilience.IsPermanent(err) {
			t.Errorf("ParseURI(%q) = %v, want a permanent error", bad, err)
		}
	}
}
