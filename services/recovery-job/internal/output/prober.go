package output

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/envision/resiliency/pkg/bucket"
	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/services/recovery-job/internal/judge"
	"github.com/envision/resiliency/services/recovery-job/internal/rules"
)

// store is what is needed of Cloud Storage.
type store interface {
	Object(ctx context.Context, bucket, object string) (bucket.Object, error)
	Get(ctx context.Context, bucket, object string, limit int64) ([]byte, error)
	List(ctx context.Context, bucket, prefix string, fn func(bucket.Object) bool) error
}

// DefaultTimeout bounds one question: long enough to list some hundred thousand
// objects.
const DefaultTimeout = time.Minute

// maxObjects bounds how many objects are looked at. Beyond it a place is judged
// by these: that there is no marker is known without a list.
const maxObjects = 200_000

// Prober asks one Cloud Storage. It is safe for concurrent use.
type Prober struct {
	store   store
	timeout time.Duration
}

// New returns a Prober; a timeout of 0 takes DefaultTimeout.
func New(s store, timeout time.Duration) *Prober {
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	return &Prober{store: s, timeout: timeout}
}

// Output answers what a run has left. It keeps its own deadline.
func (p *Prober) Output(ctx context.Context, q judge.OutputQuery) judge.Output {
	if q.URI == "" || q.Want.Expect == rules.ExpectNone {
		return answer(judge.OutputNone, "")
	}
	place, err := parsePlace(q.URI)
	if err != nil {
		return judge.Output{Probe: judge.Failed, Fault: judge.Fault{Kind: judge.FaultMisconfigured, Err: err.Error()}}
	}
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	out, err := p.ask(ctx, place, &q)
	if err != nil {
		return judge.Output{Probe: judge.Failed, Fault: faultOf(err)}
	}
	return out
}

func answer(f judge.Finding, note string) judge.Output {
	return judge.Output{Probe: judge.Answered, Finding: f, Note: note}
}

// place is where a run writes.
type place struct{ bucket, prefix string }

// parsePlace reads gs://bucket/prefix/. The prefix ends in a slash, or run-1
// would find what run-10 has left.
func parsePlace(uri string) (place, error) {
	b, prefix, err := bucket.ParseURI(uri)
	if err != nil {
		return place{}, fmt.Errorf("read the place of the output: %w", err)
	}
	return place{bucket: b, prefix: strings.TrimSuffix(prefix, "/") + "/"}, nil
}

// ask looks at the marker and, unless that settles it, at all that is there.
func (p *Prober) ask(ctx context.Context, at place, q *judge.OutputQuery) (judge.Output, error) {
	marker, err := p.marker(ctx, at, q)
	if err != nil {
		return judge.Output{}, err
	}
	switch {
	case marker.claim == claimOurs && q.Started.IsZero(), marker.claim == claimNobody && q.Started.IsZero():
		return marker.output(judge.OutputUndated), nil
	case marker.claim == claimOurs && !marker.old && unsettled(marker.at, q):
		out := marker.output(judge.OutputUnsettled)
		out.Newest = marker.at
		return out, nil
	case marker.claim == claimOurs && !marker.old:
		return marker.output(judge.OutputMarked), nil
	}
	all, err := p.objects(ctx, at, q)
	if err != nil {
		return judge.Output{}, err
	}
	return all.finding(marker, q), nil
}

func unsettled(at time.Time, q *judge.OutputQuery) bool { return at.After(q.Now.Add(-q.Want.Settle)) }

// objects is what lies below a prefix, the marker apart.
type objects struct {
	count  int
	newest time.Time
	// fresh were written since the run began.
	fresh int
	// marker is whether the marker is among them.
	marker bool
}

func (p *Prober) objects(ctx context.Context, at place, q *judge.OutputQuery) (objects, error) {
	var all objects
	err := p.store.List(ctx, at.bucket, at.prefix, func(o bucket.Object) bool {
		if strings.HasSuffix(o.Name, "/") {
			return true // stands for a folder and is no output
		}
		if o.Updated.After(all.newest) {
			all.newest = o.Updated
		}
		if o.Name == at.prefix+q.Want.Marker {
			all.marker = true
			return true
		}
		all.count++
		if !o.Updated.Before(q.Started) {
			all.fresh++
		}
		return all.count < maxObjects
	})
	if err != nil {
		return objects{}, err //nolint:wrapcheck // it says what was listed
	}
	return all, nil
}

// finding puts together what the marker and the objects say.
func (all *objects) finding(m marker, q *judge.OutputQuery) judge.Output {
	out := m.output(all.kind(m, q))
	out.Objects, out.Newest = all.count, all.newest
	if out.Finding == judge.OutputObjects {
		out.At = all.newest
	}
	if all.count >= maxObjects {
		out.Note = strings.TrimSpace(fmt.Sprintf("%s only the first %d objects were looked at", out.Note, maxObjects))
	}
	return out
}

func (all *objects) kind(m marker, q *judge.OutputQuery) judge.Finding {
	bare, undated := q.Want.Expect == rules.ExpectAny, q.Started.IsZero()
	switch {
	case !all.newest.IsZero() && unsettled(all.newest, q), all.marker && m.claim == claimNone:
		return judge.OutputUnsettled // the marker came between two looks
	case m.claim == claimForeign:
		return judge.OutputForeign
	case m.claim == claimNobody && !m.old && !(bare && all.fresh > 0):
		return judge.OutputUnsigned
	case all.count == 0 && m.claim == claimNone:
		return judge.OutputEmpty
	case bare && undated:
		return judge.OutputUndated
	case bare && all.fresh > 0:
		return judge.OutputObjects
	case m.old || all.fresh == 0 && !undated:
		return judge.OutputOld
	default:
		return judge.OutputIncomplete
	}
}

// maxFault bounds what an error may say, in bytes.
const maxFault = 512

func faultOf(err error) judge.Fault {
	f := judge.Fault{Kind: judge.FaultUnavailable, Err: job.Cut(err.Error(), maxFault)}
	switch {
	case errors.Is(err, bucket.ErrRefused):
		f.Kind = judge.FaultRefused
	case errors.Is(err, bucket.ErrNoBucket):
		f.Kind = judge.FaultMisconfigured
	}
	return f
}
