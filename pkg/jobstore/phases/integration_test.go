//go:build integration

package phases

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"cloud.google.com/go/firestore"
	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/resilience"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// patient: the first calls of a fresh emulator are slow.
const patient = 30 * time.Second

func newStore(t *testing.T) (*Store, *firestore.Client) {
	t.Helper()
	if os.Getenv("FIRESTORE_EMULATOR_HOST") == "" {
		t.Fatal("FIRESTORE_EMULATOR_HOST is not set: integration tests need the Firestore emulator (`make test` starts it)")
	}
	c, err := jobstore.NewClient(t.Context(), "phases-"+uuid.NewString()[:8], "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return New(c, patient, nil), c
}

func mustPhase(t *testing.T, e *resiliencyv1.PhaseEvent) *Document {
	t.Helper()
	d, err := OfPhase(e, told())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func after(seconds int) func(*resiliencyv1.PhaseEvent) {
	return func(e *resiliencyv1.PhaseEvent) {
		e.OccurredAt = timestamppb.New(epoch.Add(time.Duration(seconds) * time.Second))
	}
}

// What is written comes back, by whomever and however often it was told; recovery
// finds the newest sign of life; updates are beside the phases.
func TestIntegration_WriteAndRead(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	witness := func(e *resiliencyv1.PhaseEvent) {
		e.Source, e.Reporter = resiliencyv1.Source_SOURCE_LOG_WITNESS, "w"
	}
	update, err := OfUpdate(&resiliencyv1.JobUpdate{
		EventId: "u-1", JobId: "j-1", OccurredAt: timestamppb.New(epoch.Add(time.Minute)), Revision: 1, Text: "It runs.",
		Source: resiliencyv1.Source_SOURCE_STATUS_UPDATER,
	}, told())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for _, docs := range [][]*Document{
			{mustPhase(t, event("e-2", after(2))), update},
			{mustPhase(t, event("e-1", after(1), witness))}, {mustPhase(t, event("e-1", after(1)))},
		} {
			if err := s.Commit(t.Context(), docs); err != nil {
				t.Fatal(err)
			}
		}
	}
	story, err := s.Read(t.Context(), "j-1", 100)
	if err != nil || len(story.Stored) != 3 || story.Total != 3 || len(story.Unreadable) != 0 {
		t.Fatalf("%+v, %v", story, err)
	}
	if got := story.Stored[0]; got.ID != "e-1" || len(got.Witnesses) != 2 || got.Phase.GetName() != "load" {
		t.Errorf("first %+v", got)
	}
	if got := story.Stored[2].Update; got.GetText() != "It runs." || got.GetSource() != resiliencyv1.Source_SOURCE_STATUS_UPDATER {
		t.Errorf("update %v", got)
	}
	newest, found, err := jobstore.New(client, jobstore.WithTimeout(patient)).NewestPhase(t.Context(), "j-1")
	if err != nil || !found || newest.Name != "load" || !newest.At.Equal(epoch.Add(2*time.Second)) {
		t.Errorf("newest sign of life %+v, %v, %v", newest, found, err)
	}
	if last, err := s.LastStored(t.Context(), "nobody"); err != nil || last != (Last{}) {
		t.Errorf("of nobody %+v, %v", last, err)
	}
}

// Each commit is seen to be the last one, also that of a writer who prepared it before
// others and got through after them.
func TestIntegration_LastStored(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	late, early := mustPhase(t, event("late", after(1))), mustPhase(t, event("early", after(2), progressed))
	var before Last
	for _, step := range []struct {
		doc  *Document
		kind Kind
	}{{early, KindProgressed}, {late, KindStarted}} {
		if err := s.Commit(t.Context(), []*Document{step.doc}); err != nil {
			t.Fatal(err)
		}
		last, err := s.LastStored(t.Context(), "j-1")
		if err != nil || !last.At.After(before.At) || last.Kind != step.kind {
			t.Errorf("after %s: last stored %+v, before %+v, %v", step.doc.ID, last, before, err)
		}
		before = last
	}
	if page, err := s.List(t.Context(), "j-1", nil, 10); err != nil || len(page.Stored) != 2 || !page.Stored[0].StoredAt.Equal(before.At) {
		t.Errorf("listed %+v, %v; stored at %s", page.Stored, err, before.At)
	}
}

func progressed(e *resiliencyv1.PhaseEvent) {
	e.Event = &resiliencyv1.PhaseEvent_Progressed{Progressed: &resiliencyv1.PhaseProgressed{Done: 1}}
}

// A phase that tells of its progress for minutes crowds out neither its own start nor
// what went before.
func TestIntegration_ProgressIsReadApart(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	note := mustPhase(t, event("note", after(0), func(e *resiliencyv1.PhaseEvent) {
		e.Event = &resiliencyv1.PhaseEvent_Noted{Noted: &resiliencyv1.PhaseNoted{}}
	}))
	docs := []*Document{note, mustPhase(t, event("start", after(1)))}
	for i := range 300 {
		docs = append(docs, mustPhase(t, event(fmt.Sprintf("e-%03d", i), after(i+2), progressed)))
	}
	if err := s.Commit(t.Context(), docs); err != nil {
		t.Fatal(err)
	}
	story, err := s.Read(t.Context(), "j-1", 40)
	if err != nil || story.Total != 302 || story.OlderProgress != 288 {
		t.Errorf("%d in all, %d not read, %v", story.Total, story.OlderProgress, err)
	}
	var ids []string
	for _, one := range story.Stored {
		ids = append(ids, one.ID)
	}
	want := []string{"note", "start"}
	for i := 288; i < 300; i++ {
		want = append(want, fmt.Sprintf("e-%03d", i))
	}
	if !slices.Equal(ids, want) {
		t.Errorf("read %q, want %q", ids, want)
	}
}

// Of too many the newest are read, and of the rest what matters.
func TestIntegration_TooMany(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	var docs []*Document
	for i := range 300 {
		docs = append(docs, mustPhase(t, event(fmt.Sprintf("e-%03d", i), after(i))))
	}
	docs[5] = mustPhase(t, event("capsule", after(5), func(e *resiliencyv1.PhaseEvent) {
		e.Event = &resiliencyv1.PhaseEvent_FailureCaptured{FailureCaptured: &resiliencyv1.FailureCaptured{Pod: "p"}}
	}))
	if err := s.Commit(t.Context(), docs); err != nil {
		t.Fatal(err)
	}
	story, err := s.Read(t.Context(), "j-1", 40)
	if err != nil || story.Total != 300 || len(story.Stored) != 41 || story.Stored[0].ID != "capsule" || story.OlderProgress != 0 {
		t.Fatalf("%d of %d, %v", len(story.Stored), story.Total, err)
	}
	var ids []string
	for cursor := (*Cursor)(nil); ; {
		page, err := s.List(t.Context(), "j-1", cursor, 70)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range page.Stored {
			ids = append(ids, one.ID)
		}
		if cursor = page.Next; cursor == nil {
			break
		}
	}
	if len(ids) != 300 || len(slices.Compact(slices.Sorted(slices.Values(ids)))) != 300 {
		t.Errorf("pages hold %d ids", len(ids))
	}
}

// One that Firestore refuses does not take the others with it.
func TestIntegration_ABadDocumentFailsAlone(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	b := NewBatcher(s, BatcherConfig{Writers: 1}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	defer func() { cancel(); <-done }()
	docs := make([]*Document, 20)
	for i := range docs {
		docs[i] = mustPhase(t, event(fmt.Sprintf("e-%d", i)))
	}
	docs[7].fields["huge"] = make([]byte, 2<<20)
	for i, err := range addAll(b, docs) {
		if (i == 7) != resilience.IsPermanent(err) || i != 7 && err != nil {
			t.Errorf("document %d: %v", i, err)
		}
	}
	story, err := s.Read(t.Context(), "j-1", 100)
	if err != nil || len(story.Stored) != 19 {
		t.Errorf("%d stored, %v", len(story.Stored), err)
	}
}
