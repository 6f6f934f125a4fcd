package logsink

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// recorder is a Pub/Sub that remembers what came when.
type recorder struct {
	mu    sync.Mutex
	got   []arrival
	fails func(batch []*pubsubpb.PubsubMessage) error
}

type arrival struct {
	entry Entry
	at    time.Time
}

func (r *recorder) publish(_ context.Context, batch []*pubsubpb.PubsubMessage) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fails != nil {
		if err := r.fails(batch); err != nil {
			return err
		}
	}
	for _, m := range batch {
		var entry Entry
		if err := json.Unmarshal(m.GetData(), &entry); err != nil {
			return err
		}
		r.got = append(r.got, arrival{entry, time.Now()})
	}
	return nil
}

// texts are the texts of what came, in order.
func (r *recorder) texts() []string {
	var texts []string
	for _, a := range r.got {
		texts = append(texts, a.entry.TextPayload)
	}
	return texts
}

const anyText = `textPayload:*`

// sunk writes n numbered lines to a sink with the given faults, waits until all
// are published, and returns what came. It runs in a synctest bubble.
func sunk(t *testing.T, n int, faults Faults, pub *recorder) Counts {
	t.Helper()
	s, err := newSink(Config{Place: place, Filter: anyText, Faults: faults}, pub)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	dice := faults.dice("test")
	for i := range n {
		s.write(dice, place.entryOfLine(jobContainer, Stdout, fmt.Appendf(nil, "%04d", i), false, time.Now()), nil)
		time.Sleep(10 * time.Millisecond)
	}
	if err := s.Drain(ctx); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	c := s.Counts()
	if c.Passed+c.Repeated != c.Lost+c.Published+c.Discarded+c.Pending || c.Pending != 0 {
		t.Errorf("the counts do not add up: %+v", c)
	}
	return c
}

func TestSink_is_perfect_without_faults(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var pub recorder
		c := sunk(t, 100, Faults{}, &pub)
		if want := (Counts{Passed: 100, Published: 100}); c != want {
			t.Errorf("counts %+v, want %+v", c, want)
		}
		if texts := pub.texts(); len(texts) != 100 || !slices.IsSorted(texts) {
			t.Errorf("came %v", texts)
		}
		ids := map[string]bool{}
		for _, a := range pub.got {
			ids[a.entry.InsertID] = true
			if !a.entry.ReceiveTimestamp.Equal(a.at) {
				t.Errorf("received %v, came %v", a.entry.ReceiveTimestamp, a.at)
			}
		}
		if len(ids) != 100 || ids[""] {
			t.Errorf("%d insert ids for 100 entries", len(ids))
		}
	})
}

func TestSink_lags_in_order(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var pub recorder
		sunk(t, 200, Faults{MinLag: 6 * time.Second, MaxLag: 9 * time.Second}, &pub)
		if texts := pub.texts(); len(texts) != 200 || !slices.IsSorted(texts) {
			t.Errorf("came %v", texts)
		}
		for _, a := range pub.got {
			if lag := a.at.Sub(a.entry.ReceiveTimestamp.Time); lag < 6*time.Second || lag > 9*time.Second {
				t.Errorf("lag %v", lag)
			}
		}
	})
}

func TestSink_loses_repeats_and_reorders(t *testing.T) {
	t.Parallel()
	faults := Faults{
		Seed: 3, MaxLag: 50 * time.Millisecond, Loss: 0.2, Repeat: 0.3, SameID: 0.5, Reorder: 0.2, ReorderBy: time.Second,
	}
	course := func() (c Counts, texts []string) {
		synctest.Test(t, func(t *testing.T) {
			var pub recorder
			c = sunk(t, 500, faults, &pub)
			checkRepeats(t, pub.got, c)
			texts = pub.texts()
		})
		return c, texts
	}
	first, texts := course()
	if first.Lost < 50 || first.Lost > 150 || first.Repeated < 70 || slices.IsSorted(texts) {
		t.Errorf("too little happened: %+v", first)
	}
	again, same := course()
	if diff := cmp.Diff(texts, same); diff != "" || first != again {
		t.Errorf("another course with the same seed (%+v, %+v):\n%s", first, again, diff)
	}
}

func checkRepeats(t *testing.T, got []arrival, c Counts) {
	t.Helper()
	copies := map[string][]Entry{}
	for _, a := range got {
		copies[a.entry.TextPayload] = append(copies[a.entry.TextPayload], a.entry)
	}
	if len(copies) != c.Passed-c.Lost {
		t.Errorf("%d different entries came, counts %+v", len(copies), c)
	}
	repeats, sameID := 0, 0
	for text, entries := range copies {
		switch len(entries) {
		case 1:
		case 2:
			repeats++
			if entries[0].InsertID == entries[1].InsertID {
				sameID++
			} else if entries[0].ReceiveTimestamp.Equal(entries[1].ReceiveTimestamp.Time) {
				t.Errorf("%s was written again at the same time", text)
			}
		default:
			t.Errorf("%s came %d times", text, len(entries))
		}
	}
	if repeats != c.Repeated || sameID == 0 || sameID == repeats {
		t.Errorf("%d repeats, %d with the same id, counts %+v", repeats, sameID, c)
	}
}

func TestSink_goes_through_an_outage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		up := time.Now().Add(30 * time.Second)
		pub := recorder{fails: func([]*pubsubpb.PubsubMessage) error {
			switch {
			case time.Now().Before(up.Add(-10 * time.Second)):
				return status.Error(codes.Unavailable, "down")
			case time.Now().Before(up):
				return status.Error(codes.NotFound, "not provisioned again yet")
			}
			return nil
		}}
		c := sunk(t, 300, Faults{}, &pub)
		if texts := pub.texts(); len(texts) != 300 || !slices.IsSorted(texts) || c.Retries == 0 || c.Discarded != 0 {
			t.Errorf("counts %+v, came %d", c, len(texts))
		}
	})
}

func TestSink_gives_up_only_what_is_refused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bad := func(m *pubsubpb.PubsubMessage) bool { return strings.Contains(string(m.GetData()), `"0042"`) }
		slow := time.Now().Add(2 * time.Second)
		pub := recorder{fails: func(batch []*pubsubpb.PubsubMessage) error {
			if time.Now().Before(slow) {
				return errors.New("so that a batch gathers")
			}
			if slices.ContainsFunc(batch, bad) {
				return status.Error(codes.InvalidArgument, "one of them")
			}
			return nil
		}}
		c := sunk(t, 100, Faults{}, &pub)
		if texts := pub.texts(); len(texts) != 99 || slices.Contains(texts, "0042") || c.Discarded != 1 || c.Published != 99 {
			t.Errorf("counts %+v, came %d", c, len(texts))
		}
	})
}

func TestSink_refuses_what_Cloud_Logging_does(t *testing.T) {
	t.Parallel()
	s, err := newSink(Config{Place: place, Filter: anyText}, &recorder{})
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", maxLine)
	if s.write(Faults{}.dice(""), place.entryOfLine(jobContainer, Stdout, []byte(long), true, time.Now()), nil) {
		t.Error("an entry above the limit passed")
	}
	if c := s.Counts(); c != (Counts{Refused: 1}) {
		t.Errorf("counts %+v", c)
	}
}

func TestNew_names_all_that_is_wrong(t *testing.T) {
	t.Parallel()
	_, err := newSink(Config{Filter: `a=`, Faults: Faults{Loss: 2}}, nil)
	for _, want := range []string{"parse filter", "place", "Loss"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v lacks %q", err, want)
		}
	}
	if _, err := New(Config{Place: place, Filter: anyText}); err == nil || !strings.Contains(err.Error(), "Client") {
		t.Errorf("without a client: %v", err)
	}
	if _, err := newSink(Config{Place: place, Filter: `labels."` + LabelControllerName + `"="x"`}, nil); err == nil {
		t.Error("a filter on labels that come after it was taken")
	}
}

func TestSink_life(t *testing.T) {
	t.Parallel()
	s, err := newSink(Config{Place: place, Filter: anyText}, &recorder{})
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ended); err != nil {
		t.Error(err)
	}
	file := File{Path: "x", Container: jobContainer}
	for name, err := range map[string]error{
		"second run": s.Run(t.Context()), "source after the end": s.AddFile(file),
		"no container": s.AddFile(File{Path: "x"}), "no path": s.AddFile(File{Container: jobContainer}),
		"stream": s.AddFile(File{Path: "x", Container: jobContainer, Stream: "stdin"}),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := s.await(t.Context(), func() bool { return false }); err == nil {
		t.Error("waited for a sink that has ended")
	}
}
