package output

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/envision/resiliency/pkg/bucket"
	"github.com/envision/resiliency/services/recovery-job/internal/judge"
	"github.com/envision/resiliency/services/recovery-job/internal/rules"
)

func noon() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) }

func ago(d time.Duration) time.Time { return noon().Add(-d) }

// query asks for attempt 2 of j-1, begun an hour ago, whose marker has settled
// after a minute.
func query(edits ...func(*judge.OutputQuery)) judge.OutputQuery {
	q := judge.OutputQuery{
		URI: "gs://out/j-1/", JobID: "j-1", Attempt: 2, UID: "u-1", Started: ago(time.Hour), Now: noon(),
		Want: rules.Output{Expect: rules.ExpectMarker, Marker: "_SUCCESS", Settle: time.Minute},
	}
	for _, edit := range edits {
		edit(&q)
	}
	return q
}

func anything(q *judge.OutputQuery) { q.Want.Expect = rules.ExpectAny }

func startUnknown(q *judge.OutputQuery) { q.Started = time.Time{} }

func uidUnknown(q *judge.OutputQuery) { q.UID = "" }

func at(uri string) func(*judge.OutputQuery) { return func(q *judge.OutputQuery) { q.URI = uri } }

// object is one thing in the bucket "out".
type object struct {
	name    string
	age     time.Duration
	meta    map[string]string
	content string
}

// shelf is a bucket in memory.
type shelf struct {
	objects             []object
	look, get, list     error
	looks, gets, listed int
}

func (s *shelf) Object(_ context.Context, b, name string) (bucket.Object, error) {
	s.looks++
	if s.look != nil {
		return bucket.Object{}, s.look
	}
	for _, o := range s.objects {
		if b == "out" && o.name == name {
			return bucket.Object{Name: name, Size: int64(len(o.content)), Updated: ago(o.age), Metadata: o.meta}, nil
		}
	}
	return bucket.Object{}, bucket.ErrNotFound
}

func (s *shelf) Get(_ context.Context, _, name string, _ int64) ([]byte, error) {
	s.gets++
	for _, o := range s.objects {
		if o.name == name && s.get == nil {
			return []byte(o.content), nil
		}
	}
	return nil, s.get
}

func (s *shelf) List(_ context.Context, b, prefix string, fn func(bucket.Object) bool) error {
	if b != "out" {
		return bucket.ErrNoBucket
	}
	for _, o := range s.objects {
		if strings.HasPrefix(o.name, prefix) {
			if s.listed++; !fn(bucket.Object{Name: o.name, Size: int64(len(o.content)), Updated: ago(o.age)}) {
				return nil
			}
		}
	}
	return s.list
}

func marked(age time.Duration, meta map[string]string, content string) object {
	return object{"j-1/_SUCCESS", age, meta, content}
}

func part(age time.Duration) object { return object{name: "j-1/part-0", age: age, content: "x"} }

func TestProber_Output(t *testing.T) {
	t.Parallel()
	uid, minute := map[string]string{"uid": "u-1"}, time.Minute
	cases := []struct {
		name    string
		query   judge.OutputQuery
		objects []object
		want    judge.Finding
	}{
		{"nothing_declared", query(at("")), nil, judge.OutputNone},
		{"not_wanted", query(func(q *judge.OutputQuery) { q.Want.Expect = rules.ExpectNone }), []object{marked(30*minute, uid, "")}, judge.OutputNone},
		{"empty", query(), nil, judge.OutputEmpty},
		{"only_a_folder", query(), []object{{name: "j-1/", age: 2 * minute}}, judge.OutputEmpty},
		{"marker_with_uid", query(), []object{marked(30*minute, uid, "")}, judge.OutputMarked},
		{"marker_with_attempt", query(), []object{marked(30*minute, map[string]string{"attempt": "2"}, "")}, judge.OutputMarked},
		{"marker_with_the_names_of_labels", query(), []object{marked(30*minute, map[string]string{"resiliency.envision.dev/job-uid": "u-1"}, "")}, judge.OutputMarked},
		{"marker_with_uid_in_json", query(), []object{marked(30*minute, nil, `{"job_uid":"u-1","files":3}`)}, judge.OutputMarked},
		{"marker_with_attempt_in_json", query(), []object{marked(30*minute, nil, `{"attempt":2}`)}, judge.OutputMarked},
		{"marker_that_is_a_uid", query(func(q *judge.OutputQuery) { q.UID = "0f9c2b64-6f0e-4a86-9d5f-2f0a7a1b3c4d" }),
			[]object{marked(30*minute, nil, "0f9c2b64-6f0e-4a86-9d5f-2f0a7a1b3c4d\n")}, judge.OutputMarked},
		{"marker_below_the_prefix_without_slash", query(at("gs://out/j-1")), []object{marked(30*minute, uid, "")}, judge.OutputMarked},
		{"marker_as_the_run_began", query(), []object{marked(60*minute, uid, "")}, judge.OutputMarked},
		{"marker_just_settled", query(), []object{marked(minute, uid, "")}, judge.OutputMarked},
		{"marker_just_written", query(), []object{marked(minute-time.Second, uid, "")}, judge.OutputUnsettled},
		{"marker_of_the_attempt_before", query(), []object{marked(30*minute, map[string]string{"attempt": "1"}, "")}, judge.OutputForeign},
		{"old_marker_of_the_attempt_before", query(), []object{marked(2*time.Hour, map[string]string{"attempt": "1"}, "")}, judge.OutputForeign},
		{"old_marker", query(), []object{marked(2*time.Hour, uid, "")}, judge.OutputOld},
		{"old_marker_of_nobody", query(), []object{marked(2*time.Hour, nil, "")}, judge.OutputOld},
		{"old_marker_new_parts", query(), []object{marked(2*time.Hour, nil, ""), part(30 * minute)}, judge.OutputOld},
		{"marker_of_another_uid", query(), []object{marked(30*minute, map[string]string{"uid": "u-2", "attempt": "2"}, "")}, judge.OutputForeign},
		{"marker_of_another_job", query(), []object{marked(30*minute, map[string]string{"job-id": "j-10", "attempt": "2"}, "")}, judge.OutputForeign},
		{"marker_of_another_job_in_json", query(), []object{marked(30*minute, nil, `{"job_id":"j-10","attempt":2}`)}, judge.OutputForeign},
		{"marker_of_the_job_alone", query(), []object{marked(30*minute, map[string]string{"job-id": "j-1"}, "")}, judge.OutputUnsigned},
		{"marker_of_nobody", query(), []object{marked(30*minute, nil, "")}, judge.OutputUnsigned},
		{"marker_that_is_text", query(), []object{marked(30*minute, nil, "done")}, judge.OutputUnsigned},
		{"marker_that_is_huge", query(), []object{marked(30*minute, nil, strings.Repeat(" ", maxMarker+1))}, judge.OutputUnsigned},
		{"marker_with_a_uid_that_nobody_knows", query(uidUnknown), []object{marked(30*minute, map[string]string{"uid": "u-9"}, "")}, judge.OutputUnsigned},
		{"marker_with_attempt_uid_unknown", query(uidUnknown), []object{marked(30*minute, map[string]string{"uid": "u-9", "attempt": "2"}, "")}, judge.OutputMarked},
		{"marker_start_unknown", query(startUnknown), []object{marked(30*minute, uid, "")}, judge.OutputUndated},
		{"marker_of_nobody_start_unknown", query(startUnknown), []object{marked(30*minute, nil, "")}, judge.OutputUndated},
		{"parts_start_unknown", query(startUnknown), []object{part(30 * minute)}, judge.OutputIncomplete},
		{"nothing_start_unknown", query(startUnknown), nil, judge.OutputEmpty},
		{"three_of_a_hundred", query(), []object{part(30 * minute), {name: "j-1/part-1", age: 29 * minute}, {name: "j-1/part-2", age: 28 * minute}}, judge.OutputIncomplete},
		{"parts_of_an_earlier_run", query(), []object{part(2 * time.Hour)}, judge.OutputOld},
		{"parts_being_written", query(), []object{part(30 * minute), {name: "j-1/part-1", age: time.Second}}, judge.OutputUnsettled},
		{"another_job_whose_id_begins_alike", query(), []object{{"j-10/_SUCCESS", 30 * minute, uid, ""}, {name: "j-10/part-0", age: 30 * minute}}, judge.OutputEmpty},
		{"another_name_that_begins_alike", query(), []object{{"j-1/_SUCCESS_old", 30 * minute, uid, ""}}, judge.OutputIncomplete},
		{"any_objects", query(anything), []object{part(30 * minute)}, judge.OutputObjects},
		{"any_with_marker", query(anything), []object{marked(30*minute, uid, "")}, judge.OutputMarked},
		{"any_with_marker_of_nobody", query(anything), []object{marked(30*minute, nil, ""), part(30 * minute)}, judge.OutputObjects},
		{"any_with_nothing_but_a_marker_of_nobody", query(anything), []object{marked(30*minute, nil, "")}, judge.OutputUnsigned},
		{"any_of_another_job", query(anything), []object{marked(30*minute, map[string]string{"job-id": "j-10"}, ""), part(30 * minute)}, judge.OutputForeign},
		{"any_of_an_earlier_run", query(anything), []object{part(2 * time.Hour)}, judge.OutputOld},
		{"any_being_written", query(anything), []object{part(0)}, judge.OutputUnsettled},
		{"any_from_the_future", query(anything), []object{part(-time.Hour)}, judge.OutputUnsettled},
		{"any_start_unknown", query(anything, startUnknown), []object{part(30 * minute)}, judge.OutputUndated},
		{"any_empty", query(anything), []object{{name: "j-1/", age: 30 * minute}}, judge.OutputEmpty},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := &shelf{objects: c.objects}
			got := New(s, 0).Output(t.Context(), c.query)
			if got.Probe != judge.Answered || got.Finding != c.want {
				t.Errorf("got %+v, want %s", got, c.want)
			}
			if success := got.Finding == judge.OutputMarked || got.Finding == judge.OutputObjects; success && got.At.IsZero() {
				t.Errorf("success at no time: %+v", got)
			}
			if got.Finding == judge.OutputMarked && s.listed > 0 {
				t.Errorf("listed for a marker that says it all")
			}
		})
	}
}

// A marker that comes between the two looks is not overlooked.
func TestProber_markerBetweenLooks(t *testing.T) {
	t.Parallel()
	s := &shelf{objects: []object{marked(30*time.Minute, nil, ""), part(30 * time.Minute)}, look: bucket.ErrNotFound}
	if got := New(s, 0).Output(t.Context(), query()); got.Finding != judge.OutputUnsettled {
		t.Errorf("got %+v", got)
	}
}

func TestProber_looksAtSoMany(t *testing.T) {
	t.Parallel()
	s := &shelf{}
	for i := range maxObjects + 10 {
		s.objects = append(s.objects, object{name: fmt.Sprintf("j-1/%07d", i), age: 30 * time.Minute})
	}
	got := New(s, 0).Output(t.Context(), query())
	if got.Finding != judge.OutputIncomplete || got.Objects != maxObjects || s.listed != maxObjects || !strings.Contains(got.Note, "only the first") {
		t.Errorf("got %+v after %d", got, s.listed)
	}
}

func TestProber_faults(t *testing.T) {
	t.Parallel()
	broken := errors.New("connection reset")
	signed := []object{marked(30*time.Minute, nil, `{"attempt":2}`)}
	cases := []struct {
		name  string
		shelf *shelf
		query judge.OutputQuery
		want  judge.FaultKind
	}{
		{"marker_not_looked_up", &shelf{look: broken}, query(), judge.FaultUnavailable},
		{"marker_refused", &shelf{look: bucket.ErrRefused}, query(), judge.FaultRefused},
		{"marker_not_read", &shelf{objects: signed, get: broken}, query(), judge.FaultUnavailable},
		{"marker_gone_again", &shelf{objects: signed, get: bucket.ErrNotFound}, query(), judge.FaultUnavailable},
		{"list_broken", &shelf{list: broken}, query(), judge.FaultUnavailable},
		{"list_broken_after_some", &shelf{objects: []object{part(30 * time.Minute)}, list: broken}, query(), judge.FaultUnavailable},
		{"list_refused", &shelf{list: bucket.ErrRefused}, query(anything), judge.FaultRefused},
		{"no_such_bucket", &shelf{}, query(at("gs://gone/j-1/")), judge.FaultMisconfigured},
		{"no_place", &shelf{}, query(at("s3://out/j-1/")), judge.FaultMisconfigured},
		{"a_whole_bucket", &shelf{}, query(at("gs://out/")), judge.FaultMisconfigured},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := New(c.shelf, 0).Output(t.Context(), c.query)
			if got.Probe != judge.Failed || got.Fault.Kind != c.want || got.Fault.Err == "" || got.Finding != "" {
				t.Errorf("got %+v, want %s", got, c.want)
			}
		})
	}
}
