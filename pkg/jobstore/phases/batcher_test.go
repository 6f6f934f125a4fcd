package phases

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/envision/resiliency/pkg/resilience"
)

// fakeStore refuses documents by id, and holds commits until it is told.
type fakeStore struct {
	refuse map[string]bool
	fail   error
	hold   chan struct{}

	mu      sync.Mutex
	commits [][]*Document
}

func (s *fakeStore) Commit(_ context.Context, docs []*Document) error {
	if s.hold != nil {
		<-s.hold
	}
	for _, d := range docs {
		if s.refuse[d.ID] {
			return resilience.Permanent(errors.New("too large"))
		}
	}
	if s.fail != nil {
		return s.fail
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commits = append(s.commits, slices.Clone(docs))
	return nil
}

func (s *fakeStore) stored() map[string]*Document {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[string]*Document)
	for _, commit := range s.commits {
		for _, d := range commit {
			out[d.ID] = d
		}
	}
	return out
}

// begin runs a batcher until the test ends.
func begin(t *testing.T, store committer, cfg BatcherConfig) (*Batcher, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewRegistry()
	b := NewBatcher(store, cfg, reg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return b, reg
}

func doc(id string, sources ...string) *Document {
	witnesses := make(map[string]any)
	for _, s := range sources {
		witnesses[s] = map[string]any{}
	}
	return &Document{JobID: "j-1", ID: id, fields: map[string]any{"name": id, fieldWitnesses: witnesses}, size: 100}
}

// addAll adds documents at once and returns what became of each.
func addAll(b *Batcher, docs []*Document) []error {
	errs := make([]error, len(docs))
	var wg sync.WaitGroup
	for i, d := range docs {
		wg.Go(func() { errs[i] = b.Add(context.Background(), d) })
	}
	wg.Wait()
	return errs
}

func numbered(n int) []*Document {
	docs := make([]*Document, n)
	for i := range docs {
		docs[i] = doc(fmt.Sprintf("e-%d", i))
	}
	return docs
}

func TestBatcher_GathersWhileNoWriterIsFree(t *testing.T) {
	t.Parallel()
	s := &fakeStore{hold: make(chan struct{})}
	b, _ := begin(t, s, BatcherConfig{Writers: 1})
	go func() { s.hold <- struct{}{}; close(s.hold) }() // one goes out, then the rest
	for i, err := range addAll(b, numbered(700)) {
		if err != nil {
			t.Errorf("document %d: %v", i, err)
		}
	}
	if n := len(s.stored()); n != 700 {
		t.Errorf("%d documents stored", n)
	}
	for _, commit := range s.commits {
		if len(commit) > MaxCommit {
			t.Errorf("a commit of %d documents", len(commit))
		}
	}
}

func TestBatcher_ABadDocumentFailsAlone(t *testing.T) {
	t.Parallel()
	s := &fakeStore{refuse: map[string]bool{"e-7": true, "e-8": true, "e-99": true}}
	b, reg := begin(t, s, BatcherConfig{Writers: 2})
	for i, err := range addAll(b, numbered(100)) {
		if bad := s.refuse[fmt.Sprintf("e-%d", i)]; bad != resilience.IsPermanent(err) || !bad && err != nil {
			t.Errorf("document %d: %v", i, err)
		}
	}
	if n := len(s.stored()); n != 97 {
		t.Errorf("%d documents stored", n)
	}
	if n := testutil.ToFloat64(b.metrics.documents.WithLabelValues("refused")); n != 3 {
		t.Errorf("%v documents counted as refused", n)
	}
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Errorf("metrics: %v %v", problems, err)
	}
}

func TestBatcher_OneFactByTwoIsOneDocument(t *testing.T) {
	t.Parallel()
	s := &fakeStore{hold: make(chan struct{})}
	b, _ := begin(t, s, BatcherConfig{Writers: 1})
	go func() { s.hold <- struct{}{}; close(s.hold) }()
	docs := append(numbered(1), doc("both", "LOG_WITNESS"), doc("both", "EVENT_STREAMER"), doc("both", "LOG_WITNESS"))
	for _, err := range addAll(b, docs) {
		if err != nil {
			t.Error(err)
		}
	}
	witnesses := map[string]bool{}
	for _, commit := range s.commits {
		names := map[string]bool{}
		for _, d := range commit {
			if names[d.ID] {
				t.Errorf("%s is twice in one commit", d.ID)
			}
			names[d.ID] = true
			if of, ok := d.fields[fieldWitnesses].(map[string]any); ok && d.ID == "both" {
				for source := range of {
					witnesses[source] = true
				}
			}
		}
	}
	if len(witnesses) != 2 {
		t.Errorf("witnesses %v", witnesses)
	}
}

func TestBatcher_TellsOfAFault(t *testing.T) {
	t.Parallel()
	s := &fakeStore{fail: resilience.Dependency("firestore", errors.New("down"))}
	guarded := 0
	b, _ := begin(t, s, BatcherConfig{Writers: 1, Guard: func(ctx context.Context, commit func(context.Context) error) error {
		guarded++
		return commit(ctx)
	}})
	if err := b.Add(t.Context(), doc("e")); resilience.CategoryOf(err) != resilience.CategoryDependency || guarded == 0 {
		t.Errorf("error %v, guarded %d times", err, guarded)
	}
}

func TestBatcher_Ends(t *testing.T) {
	t.Parallel()
	s := &fakeStore{hold: make(chan struct{})}
	b := NewBatcher(s, BatcherConfig{Writers: 1}, nil)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	added := make(chan error, 1)
	go func() { added <- b.Add(context.Background(), doc("in-hand")) }()
	s.hold <- struct{}{} // it is being written
	cancel()
	if err := <-added; err != nil {
		t.Errorf("what was in hand at the end: %v", err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := b.Add(t.Context(), doc("late")); err == nil || resilience.IsPermanent(err) {
		t.Errorf("after the end: %v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := NewBatcher(s, BatcherConfig{}, nil).Add(gone, doc("e")); !errors.Is(err, context.Canceled) {
		t.Errorf("without a writer: %v", err)
	}
}
