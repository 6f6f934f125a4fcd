package phases

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/firestore"
	"google.golang.org/protobuf/proto"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/resilience"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// MaxPage is the largest page of List.
const MaxPage = 500

// Stored is a phase or an update as it was read; one of Phase and Update is set.
type Stored struct {
	ID     string
	Kind   Kind
	Phase  *resiliencyv1.PhaseEvent
	Update *resiliencyv1.JobUpdate
	// Witnesses are who told of it, by source.
	Witnesses []Witness
	// StoredAt and ExpireAt are read by List alone.
	StoredAt time.Time
	ExpireAt time.Time
}

// Witness is one source of a fact.
type Witness struct {
	Source     job.Source
	Reporter   string
	ReceivedAt time.Time
}

// maxRead is about how many bytes are read at once. Capsules are large: a job
// may have many of them, and a page must not cost the process its memory.
const maxRead = 24 << 20

// part is what was read of a query, in its order.
type part struct {
	stored     []Stored
	unreadable []string
	// documents counts both; last is the place of the last of them.
	documents int
	last      Cursor
	// cut says that there may be more.
	cut bool
}

// needed are the fields that a Stored is made of: what the payload says again is
// not read.
func needed(more ...string) []string {
	return append(more, fieldKind, fieldPayload, fieldWitnesses, jobstore.PhaseFieldSource, jobstore.PhaseFieldOccurredAt)
}

// part reads a query up to a number of documents and maxRead bytes.
func (s *Store) part(ctx context.Context, query firestore.Query, limit int) (p part, err error) {
	size := 0
	err = s.calls.Each(ctx, query, func(doc *firestore.DocumentSnapshot) bool {
		if p.documents == limit {
			p.cut = true
			return false
		}
		fields := doc.Data()
		p.add(doc.Ref.ID, fields)
		payload, _ := fields[fieldPayload].([]byte)
		size += len(payload)
		p.cut = size >= maxRead
		return !p.cut
	})
	return p, err //nolint:wrapcheck // the caller says of which job
}

// add decodes a document. One that cannot be read is named and does not hide the
// others.
func (p *part) add(id string, fields map[string]any) {
	p.documents++
	at, _ := fields[jobstore.PhaseFieldOccurredAt].(time.Time) // every query is ordered by it
	p.last = Cursor{At: at, ID: id}
	one, err := decode(id, fields)
	if err != nil {
		p.unreadable = append(p.unreadable, id)
		return
	}
	p.stored = append(p.stored, one)
}

// Cursor is a place in the list of a job's phases: after the document of this time
// and id.
type Cursor struct {
	At time.Time `json:"at"`
	ID string    `json:"id"`
}

// Page is a part of a job's phases, oldest first.
type Page struct {
	Stored     []Stored
	Unreadable []string
	// Next is where the next page begins; nil at the end.
	Next *Cursor
}

// List returns up to limit phases and updates of a job, in the order of when they
// happened, after the cursor if there is one. It reads limit + 1 documents at most.
func (s *Store) List(ctx context.Context, jobID string, after *Cursor, limit int) (Page, error) {
	if err := job.CheckID(jobID); err != nil {
		return Page{}, resilience.Permanent(fmt.Errorf("list phases: %w", err))
	}
	if limit < 1 || limit > MaxPage {
		return Page{}, resilience.Permanent(fmt.Errorf("list phases: a page has 1 to %d, not %d", MaxPage, limit))
	}
	query := s.db.Collection(jobstore.CollectionPhases(jobID)).
		OrderBy(jobstore.PhaseFieldOccurredAt, firestore.Asc).OrderBy(firestore.DocumentID, firestore.Asc).Limit(limit + 1).
		Select(needed(fieldStoredAt, fieldExpireAt)...)
	if after != nil {
		query = query.StartAfter(after.At, after.ID)
	}
	found, err := s.part(ctx, query, limit)
	if err != nil {
		return Page{}, fmt.Errorf("list phases of job %s: %w", jobID, err)
	}
	page := Page{Stored: found.stored, Unreadable: found.unreadable}
	if found.cut {
		page.Next = &found.last
	}
	return page, nil
}

// Last is what was stored last of a job.
type Last struct {
	// At is by Firestore's clock; zero when nothing is stored.
	At   time.Time
	Kind Kind
}

// LastStored is what was stored last of a job; of a commit, any one of it. It costs
// one read: a page that shows the job asks it to know whether it has to look again.
func (s *Store) LastStored(ctx context.Context, jobID string) (Last, error) {
	if err := job.CheckID(jobID); err != nil {
		return Last{}, resilience.Permanent(fmt.Errorf("look for new phases: %w", err))
	}
	docs, err := s.calls.Documents(ctx, s.db.Collection(jobstore.CollectionPhases(jobID)).
		OrderBy(fieldStoredAt, firestore.Desc).Limit(1).Select(fieldStoredAt, fieldKind))
	if err != nil {
		return Last{}, fmt.Errorf("look for new phases of job %s: %w", jobID, err)
	}
	if len(docs) == 0 {
		return Last{}, nil
	}
	fields := docs[0].Data()
	at, _ := fields[fieldStoredAt].(time.Time)
	kind, _ := fields[fieldKind].(string)
	return Last{At: at.UTC(), Kind: Kind(kind)}, nil
}

func decode(id string, fields map[string]any) (Stored, error) {
	kind, _ := fields[fieldKind].(string)
	payload, _ := fields[fieldPayload].([]byte)
	out := Stored{ID: id, Kind: Kind(kind), Witnesses: witnesses(fields[fieldWitnesses])}
	out.StoredAt, _ = fields[fieldStoredAt].(time.Time)
	out.ExpireAt, _ = fields[fieldExpireAt].(time.Time)
	name, _ := fields[jobstore.PhaseFieldSource].(string)
	source, _ := job.ParseSource(name) // of a later release it is unspecified
	if out.Kind == KindUpdate {
		out.Update = &resiliencyv1.JobUpdate{}
		if err := unmarshal(payload, out.Update); err != nil {
			return out, fmt.Errorf("read update %s: %w", id, err)
		}
		out.Update.Source = source
		return out, nil
	}
	out.Phase = &resiliencyv1.PhaseEvent{}
	if err := unmarshal(payload, out.Phase); err != nil {
		return out, fmt.Errorf("read phase %s: %w", id, err)
	}
	out.Phase.Source = source
	return out, nil
}

func unmarshal(payload []byte, into proto.Message) error {
	if len(payload) == 0 {
		return fmt.Errorf("it has no payload")
	}
	return proto.Unmarshal(payload, into) //nolint:wrapcheck // the caller says of what
}

func witnesses(field any) []Witness {
	of, _ := field.(map[string]any)
	out := make([]Witness, 0, len(of))
	for name, v := range of {
		source, _ := job.ParseSource(name)
		w := Witness{Source: source}
		if fields, ok := v.(map[string]any); ok {
			w.Reporter, _ = fields["reporter"].(string)
			at, _ := fields["received_at"].(time.Time)
			if !at.IsZero() {
				w.ReceivedAt = at.UTC()
			}
		}
		out = append(out, w)
	}
	slices.SortFunc(out, func(a, b Witness) int { return strings.Compare(job.SourceName(a.Source), job.SourceName(b.Source)) })
	return out
}
