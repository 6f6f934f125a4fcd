package bucket_test

import (
	"bytes"
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
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/api/option"

	"github.com/envision/resiliency/pkg/bucket"
	"github.com/envision/resiliency/pkg/resilience"
)

// server speaks as much of Cloud Storage's JSON API as the client uses.
type server struct {
	mu      sync.Mutex
	objects map[string][]byte
	// answer, when set, is the status of every request.
	answer int
	calls  int
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if s.answer != 0 {
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
	attrs, err := c.Attrs(t.Context(), "there", "a/b")
	want := bucket.Attrs{Size: int64(len(data)), Updated: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)}
	if err != nil || attrs != want {
		t.Errorf("Attrs = %+v, %v; want %+v", attrs, err, want)
	}
	if _, err := c.Get(t.Context(), "there", "a/b", 10); !errors.Is(err, bucket.ErrTooLarge) || !resilience.IsPermanent(err) {
		t.Errorf("Get beyond the limit = %v, want a permanent ErrTooLarge", err)
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
			_, attrsErr := b.Attrs(t.Context(), "there", "x")
			for _, err := range []error{b.Put(t.Context(), "there", "x", []byte("y")), getErr, attrsErr} {
				if err == nil || resilience.CategoryOf(err) != c.want {
					t.Errorf("error = %v (%s), want category %s", err, resilience.CategoryOf(err), c.want)
				}
			}
		})
	}
}

func TestClient_MissingObjects(t *testing.T) {
	t.Parallel()
	c := client(t, &server{}, 0)
	_, getErr := c.Get(t.Context(), "there", "gone", 10)
	_, attrsErr := c.Attrs(t.Context(), "there", "gone")
	for _, err := range []error{getErr, attrsErr} {
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
	if _, err := c.Attrs(ctx, "there", "x"); resilience.CategoryOf(err) != resilience.CategoryRetryable {
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
