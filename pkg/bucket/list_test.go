package bucket_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/api/option"

	"github.com/envision/resiliency/pkg/bucket"
	"github.com/envision/resiliency/pkg/resilience"
)

// pages answers lists of the bucket "there", two objects a page, and knows no
// other bucket.
func pages(t *testing.T, answer func(w http.ResponseWriter, r *http.Request) bool) *bucket.Client {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if answer != nil && answer(w, r) {
			return
		}
		switch r.URL.Query().Get("pageToken") {
		case "":
			if r.URL.Path != "/storage/v1/b/there/o" || r.URL.Query().Get("prefix") != "run-1/" {
				http.Error(w, `{"error":{"code":404,"message":"The specified bucket does not exist."}}`, http.StatusNotFound)
				return
			}
			fmt.Fprint(w, `{"nextPageToken":"2","items":[{"name":"run-1/","size":"0","updated":"2026-11-21T10:00:00Z"},
				{"name":"run-1/a","size":"7","updated":"2026-11-21T10:00:01.5Z"}]}`)
		default:
			fmt.Fprint(w, `{"items":[{"name":"run-1/b","size":"8","updated":"2026-11-21T10:00:02Z"}]}`)
		}
	}))
	t.Cleanup(srv.Close)
	c, err := bucket.New(t.Context(), time.Second, option.WithoutAuthentication(), option.WithEndpoint(srv.URL+"/storage/v1/"))
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

func TestClient_List(t *testing.T) {
	t.Parallel()
	c := pages(t, nil)
	var names []string
	var last bucket.Object
	if err := c.List(t.Context(), "there", "run-1/", func(o bucket.Object) bool {
		names, last = append(names, o.Name), o
		return true
	}); err != nil {
		t.Fatal(err)
	}
	want := bucket.Object{Name: "run-1/b", Size: 8, Updated: time.Date(2026, 11, 21, 10, 0, 2, 0, time.UTC)}
	if diff := cmp.Diff([]string{"run-1/", "run-1/a", "run-1/b"}, names) + cmp.Diff(want, last); diff != "" {
		t.Error(diff)
	}
	calls := 0
	if err := c.List(t.Context(), "there", "run-1/", func(bucket.Object) bool { calls++; return false }); err != nil || calls != 1 {
		t.Errorf("%d calls, %v; want one", calls, err)
	}
}

func TestClient_List_faults(t *testing.T) {
	t.Parallel()
	status := func(code int) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(code)
			fmt.Fprintf(w, `{"error":{"code":%d,"message":"as the test asks"}}`, code)
			return true
		}
	}
	cases := []struct {
		name   string
		bucket string
		answer func(http.ResponseWriter, *http.Request) bool
		want   error
	}{
		{"no_bucket", "gone", nil, bucket.ErrNoBucket},
		{"refused", "there", status(http.StatusForbidden), bucket.ErrRefused},
		{"not_known", "there", status(http.StatusUnauthorized), bucket.ErrRefused},
		{"too_many", "there", status(http.StatusTooManyRequests), context.DeadlineExceeded},
		{"down", "there", status(http.StatusServiceUnavailable), context.DeadlineExceeded},
		{"second_page_lost", "there", func(w http.ResponseWriter, r *http.Request) bool {
			return r.URL.Query().Get("pageToken") != "" && status(http.StatusServiceUnavailable)(w, r)
		}, context.DeadlineExceeded},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			patience := time.Minute // an answer that is tried again is to be given up soon, any other to come
			if errors.Is(c.want, context.DeadlineExceeded) {
				patience = 300 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			err := pages(t, c.answer).List(ctx, c.bucket, "run-1/", func(bucket.Object) bool { return true })
			if !errors.Is(err, c.want) || resilience.CategoryOf(err) != resilience.CategoryDependency {
				t.Errorf("got %v (%s), want %v of a dependency", err, resilience.CategoryOf(err), c.want)
			}
		})
	}
}

func TestClient_Object(t *testing.T) {
	t.Parallel()
	c := pages(t, func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/storage/v1/b/there/o/run-1%2F_SUCCESS" && r.URL.Path != "/storage/v1/b/there/o/run-1/_SUCCESS" {
			return false
		}
		fmt.Fprint(w, `{"name":"run-1/_SUCCESS","size":"0","updated":"2026-11-21T10:00:00Z","metadata":{"attempt":"2"}}`)
		return true
	})
	got, err := c.Object(t.Context(), "there", "run-1/_SUCCESS")
	want := bucket.Object{
		Name: "run-1/_SUCCESS", Updated: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC),
		Metadata: map[string]string{"attempt": "2"},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	if _, err := c.Object(t.Context(), "there", "none"); !errors.Is(err, bucket.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}
