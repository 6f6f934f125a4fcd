package jobstore

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/envision/resiliency/pkg/job"
)

// ErrNewerRelease marks a stored record that holds a name which this release
// does not know. Another replica, or this one after its update, can read it.
var ErrNewerRelease = errors.New("written by a newer release")

// entry is a record as it was last seen in the database. Its parts are shared
// by the cache and every caller and must not be changed.
type entry struct {
	// record is nil when the document does not exist.
	record     *job.Record
	meta       Meta
	updateTime time.Time
	// layout is that of the document; 0 before documents had one.
	layout int64
}

// decode rebuilds a record from its document. The error names every field that
// is not as it should be.
func decode(doc *document) (*entry, error) {
	if !doc.exists {
		return &entry{}, nil
	}
	top := &reader{fields: doc.fields}
	e := &entry{
		updateTime: doc.updateTime, layout: top.int64("layout"),
		meta: Meta{
			Revision: top.int64("revision"), UpdatedAt: top.time("updated_at"),
			UpdatedBy: top.str("updated_by"), CheckAfter: top.time("check_after"),
			Shard: top.int64("shard"), Recovery: readRecovery(top.sub("recovery")),
		},
	}
	merge := top.sub("merge")
	e.record = &job.Record{
		JobID:         doc.id,
		Status:        readStatus(merge.sub(registerStatus)),
		Cause:         readCause(merge.sub(registerCause)),
		Delayed:       readMark(merge.sub(registerDelayed)),
		Vanished:      readMark(merge.sub(registerVanished)),
		Owner:         readDescribed(merge.sub(registerOwner)),
		Tenant:        readDescribed(merge.sub(registerTenant)),
		CorrelationID: readDescribed(merge.sub(registerCorrelationID)),
		OutputURI:     readDescribed(merge.sub(registerOutputURI)),
		Kubernetes:    readKubernetes(merge.sub(registerKubernetes)),
		Started:       readStart(merge.sub(registerStarted)),
	}
	if err := top.err(); err != nil {
		return nil, fmt.Errorf("read record %s: %w", doc.id, err)
	}
	return e, nil
}

func readLife(r *reader) job.Life {
	return job.Life{
		Attempt: r.int32("attempt"), Ordinal: r.int32("ordinal"), Stage: r.str("stage"),
		CreatedAt: r.time("created_at"), UID: r.str("uid"),
	}
}

func readStatus(r *reader) job.Status {
	return job.Status{
		Life: readLife(r), State: readEnum(r, "state", job.ParseState),
		Evidence: readEnum(r, "evidence", job.ParseEvidence), StageDone: r.flag("stage_done"),
		OccurredAt: r.time("occurred_at"), Generation: r.int64("generation"), Detail: r.str("detail"),
	}
}

func readCause(r *reader) job.CauseClaim {
	c := job.CauseClaim{
		Life: readLife(r), OccurredAt: r.time("occurred_at"),
		CauseDetail: job.CauseDetail{
			Cause: readEnum(r, "cause", job.ParseCause), Message: r.str("message"),
			Reason: r.str("reason"), Pod: r.str("pod"), Container: r.str("container"), Node: r.str("node"),
		},
	}
	if r.fields["exit_code"] != nil {
		code := r.int32("exit_code")
		c.ExitCode = &code
	}
	return c
}

func readMark(r *reader) job.Mark {
	return job.Mark{
		Life: readLife(r), OccurredAt: r.time("occurred_at"), Set: r.flag("set"), Reason: r.str("reason"),
	}
}

func readDescribed(r *reader) job.Described {
	return job.Described{
		Value: r.str("value"), Attempt: r.int32("attempt"), SourceRank: r.int32("source_rank"), OccurredAt: r.time("occurred_at"),
	}
}

func readKubernetes(r *reader) job.KubernetesClaim {
	return job.KubernetesClaim{
		Attempt: r.int32("attempt"), Ordinal: r.int32("ordinal"), Stage: r.str("stage"),
		Kubernetes: job.Kubernetes{
			Cluster: r.str("cluster"), Namespace: r.str("namespace"), Name: r.str("name"),
			UID: r.str("uid"), CreatedAt: r.time("created_at"), End: readStageEnd(r),
		},
	}
}

func readStart(r *reader) job.Start {
	return job.Start{Attempt: r.int32("attempt"), At: r.time("at")}
}

func readStageEnd(r *reader) job.StageEnd {
	switch {
	case r.fields["stage_final"] == nil:
		return job.StageEndUnknown
	case r.flag("stage_final"):
		return job.StageEndsJob
	default:
		return job.StageGoesOn
	}
}

// reader takes typed values out of a map and notes what does not fit, so that
// one error names every wrong field. A field that is missing or null is zero.
type reader struct {
	path   string
	fields map[string]any
	errs   *[]error
}

func (r *reader) err() error {
	if r.errs == nil {
		return nil
	}
	return errors.Join(*r.errs...)
}

func (r *reader) note(name string, err error) {
	if r.errs == nil {
		r.errs = new([]error)
	}
	*r.errs = append(*r.errs, fmt.Errorf("field %s%s: %w", r.path, name, err))
}

func readAs[T any](r *reader, name string) T {
	var zero T
	value, ok := r.fields[name]
	if !ok || value == nil {
		return zero
	}
	typed, ok := value.(T)
	if !ok {
		r.note(name, fmt.Errorf("is a %T, not a %T", value, zero))
	}
	return typed
}

// sub reads a map; its errors are noted with this reader's.
func (r *reader) sub(name string) *reader {
	if r.errs == nil {
		r.errs = new([]error)
	}
	return &reader{path: r.path + name + ".", fields: readAs[map[string]any](r, name), errs: r.errs}
}

func (r *reader) str(name string) string  { return readAs[string](r, name) }
func (r *reader) flag(name string) bool   { return readAs[bool](r, name) }
func (r *reader) int64(name string) int64 { return readAs[int64](r, name) }

func (r *reader) int32(name string) int32 {
	v := r.int64(name)
	if v < math.MinInt32 || v > math.MaxInt32 {
		r.note(name, fmt.Errorf("%d does not fit 32 bits", v))
		return 0
	}
	return int32(v)
}

func (r *reader) time(name string) time.Time {
	t := readAs[time.Time](r, name)
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC()
}

func readEnum[E ~int32](r *reader, name string, parse func(string) (E, error)) E {
	text := r.str(name)
	if text == "" {
		return 0
	}
	v, err := parse(text)
	if err != nil {
		r.note(name, fmt.Errorf("%w: %w", ErrNewerRelease, err))
	}
	return v
}
