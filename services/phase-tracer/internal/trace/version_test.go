package trace

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore/letters"
	"github.com/envision/resiliency/services/phase-tracer/internal/timeline"
)

func TestReader_Version(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		lay  func(s *shelf)
		want timeline.Version
	}{
		{"nothing", func(*shelf) {}, timeline.Version{}},
		{"record_alone", func(s *shelf) { s.put(said()) }, timeline.Version{Found: true, Tenant: "video"}},
		{"phases_alone", func(s *shelf) { s.keep(noted("p-1", 2)) }, timeline.Version{Found: true}},
		{"progress_last", func(s *shelf) { s.keep(noted("p-1", 2), advanced("p-2", 3)) }, timeline.Version{Found: true, Progress: true}},
		{"both", func(s *shelf) { s.put(said()); s.keep(noted("p-1", 2)) }, timeline.Version{Found: true, Tenant: "video"}},
		{"waits", func(s *shelf) { s.put(said(state(job.StatePending, 0))) }, timeline.Version{Found: true, Tenant: "video"}},
		{"succeeded", func(s *shelf) { s.put(said(state(job.StateSucceeded, job.EvidenceStated))) },
			timeline.Version{Found: true, Tenant: "video", Over: true}},
		{"cancelled", func(s *shelf) { s.put(said(state(job.StateCancelled, job.EvidenceDeleted))) },
			timeline.Version{Found: true, Tenant: "video", Over: true}},
		{"failed_by_absence", func(s *shelf) { s.put(said(state(job.StateFailed, job.EvidenceAbsence))) },
			timeline.Version{Found: true, Tenant: "video", Over: true}},
		{"nothing_is_known_but_a_mark", func(s *shelf) {
			s.put(said(func(o *job.Observation) { o.Kind, o.Delayed, o.Tenant = job.KindDelay, true, "" }))
		}, timeline.Version{Found: true}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := &shelf{}
			c.lay(s)
			got, err := s.reader().Version(t.Context(), jobID)
			if err != nil || got.Text == "" {
				t.Errorf("version %q, error %v", got.Text, err)
			}
			if got.Text, got.Record = "", ""; got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
			// It is asked every second for each page that is open.
			if n, m := len(s.records.asked)+len(s.phases.asked), len(s.letters.asked); n != 2 || m != 0 {
				t.Errorf("it took %d reads, and %d of letters", n, m)
			}
		})
	}
}

// Two versions are the same if and only if the record and the newest phase are: a
// page that follows the job misses no change, and reads nothing again for nothing.
func TestReader_VersionTellsEveryChangeApart(t *testing.T) {
	t.Parallel()
	type world struct {
		record, phase time.Time
		found         bool
	}
	rapid.Check(t, func(t *rapid.T) {
		s, now := &shelf{}, at(0)
		r := NewReader(&s.records, &s.phases, &s.letters, func() time.Time { return now })
		of, records := map[string]world{}, map[string]time.Time{}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			// Firestore keeps microseconds; the clocks of writer and server differ.
			moment := at(0).Add(time.Duration(rapid.IntRange(0, 5).Draw(t, "microseconds")) * time.Microsecond)
			switch rapid.SampledFrom([]string{"record", "phase", "letter", "time"}).Draw(t, "what") {
			case "record":
				s.put(said())
				s.records.stored.UpdateTime = moment
			case "phase":
				s.phases.last.At = moment
			case "letter":
				s.lay(letters.Letter{ID: fmt.Sprint("l-", len(s.letters.page.Letters)), State: letters.StateOpen})
			case "time":
				now = now.Add(time.Hour)
			}
			v, err := r.Version(t.Context(), jobID)
			if err != nil {
				t.Fatal(err)
			}
			is := world{s.records.stored.UpdateTime, s.phases.last.At, s.records.found}
			if was, known := of[v.Text]; known && was != is {
				t.Fatalf("version %s is that of %+v and of %+v", v.Text, was, is)
			}
			if before := records[v.Record]; before.IsZero() {
				records[v.Record] = is.record
			} else if before != is.record {
				t.Fatalf("%s is the record of %s and of %s", v.Record, before, is.record)
			}
			for text, was := range of {
				if was == is && text != v.Text {
					t.Fatalf("%+v has the versions %s and %s", is, text, v.Text)
				}
			}
			of[v.Text] = is
		}
	})
}

func TestReader_VersionFailsWithEachSource(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"record", "phases"} {
		for category, fault := range faults() {
			t.Run(name+"_"+string(category), func(t *testing.T) {
				t.Parallel()
				s := &shelf{}
				s.put(said())
				s.keep(noted("p-1", 2))
				s.sources()[name].err = fault
				got, err := s.reader().Version(t.Context(), jobID)
				checkFault(t, err, fault)
				if got != (timeline.Version{}) {
					t.Errorf("with an error: %+v", got)
				}
			})
		}
	}
}
