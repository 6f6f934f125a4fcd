package phases

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"cloud.google.com/go/firestore"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/resilience"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// Kind says what a document tells, for queries that look for what matters.
type Kind string

// The kinds.
const (
	KindStarted    Kind = "STARTED"
	KindProgressed Kind = "PROGRESSED"
	KindEnded      Kind = "ENDED"
	// KindFailed is an end that went wrong.
	KindFailed       Kind = "FAILED"
	KindNoted        Kind = "NOTED"
	KindCorrected    Kind = "CORRECTED"
	KindCaptured     Kind = "CAPTURED"
	KindJudged       Kind = "JUDGED"
	KindDeadLettered Kind = "DEAD_LETTERED"
	// KindUpdate is an update that went out to the product.
	KindUpdate Kind = "UPDATE"
	// KindUnknown is of a later release.
	KindUnknown Kind = "UNKNOWN"
)

// Fields of a document beside those of package jobstore.
const (
	fieldKind      = "kind"
	fieldPayload   = "payload"
	fieldWitnesses = "witnesses"
	fieldStoredAt  = "stored_at"
	fieldExpireAt  = "expire_at"
)

// Document is a phase or an update as it will be stored.
type Document struct {
	// JobID and ID name it.
	JobID, ID string
	fields    map[string]any
	// size is about how many bytes it has.
	size int
}

// Told says who told of a fact, and when.
type Told struct {
	// ReceivedAt is when Pub/Sub took the message.
	ReceivedAt time.Time
	// ExpireAt is when Firestore may delete it; zero is never.
	ExpireAt time.Time
}

// OfPhase prepares a phase. What is longer than the contract allows is cut, and
// says so. The job id must be one (jobevent.CheckHead). Errors are permanent. e is
// not changed.
func OfPhase(e *resiliencyv1.PhaseEvent, told Told) (*Document, error) {
	e = proto.CloneOf(e)
	source, reporter := e.GetSource(), e.GetReporter()
	boundPhase(e)
	// Two sources of one fact differ in these alone: without them it is the same
	// document, whichever comes last.
	e.Source, e.Reporter = resiliencyv1.Source_SOURCE_UNSPECIFIED, ""
	fields := map[string]any{
		jobstore.PhaseFieldName: e.GetName(), fieldKind: string(kindOf(e)), "sequence": e.GetSequence(), "message": e.GetMessage(),
	}
	return document(e, fields, source, reporter, told)
}

// OfUpdate prepares an update that went out.
func OfUpdate(u *resiliencyv1.JobUpdate, told Told) (*Document, error) {
	u = proto.CloneOf(u)
	source, reporter := u.GetSource(), u.GetReporter()
	boundUpdate(u)
	u.Source, u.Reporter = resiliencyv1.Source_SOURCE_UNSPECIFIED, ""
	fields := map[string]any{
		jobstore.PhaseFieldName: "job.update", fieldKind: string(KindUpdate), "revision": u.GetRevision(), "message": u.GetText(),
	}
	return document(u, fields, source, reporter, told)
}

// message is what both have at the top.
type message interface {
	proto.Message
	GetEventId() string
	GetJobId() string
	GetAttempt() int32
	GetStage() *resiliencyv1.Stage
	GetOccurredAt() *timestamppb.Timestamp
}

func document(m message, fields map[string]any, source job.Source, reporter string, told Told) (*Document, error) {
	payload, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, resilience.Permanent(fmt.Errorf("encode phase %s of job %s: %w", job.Cut(m.GetEventId(), 64), m.GetJobId(), err))
	}
	if err := job.CheckID(m.GetJobId()); err != nil {
		return nil, resilience.Permanent(fmt.Errorf("store phase %s: %w", job.Cut(m.GetEventId(), 64), err))
	}
	witness := map[string]any{"reporter": job.Cut(reporter, maxName)}
	if !told.ReceivedAt.IsZero() {
		witness["received_at"] = stamp(told.ReceivedAt)
	}
	fields[jobstore.PhaseFieldSource] = job.SourceName(source)
	fields[jobstore.PhaseFieldOccurredAt] = stamp(m.GetOccurredAt().AsTime())
	fields["attempt"] = int64(m.GetAttempt())
	fields["stage"] = m.GetStage().GetName()
	fields[fieldPayload] = payload
	fields[fieldWitnesses] = map[string]any{job.SourceName(source): witness}
	// Firestore's clock, as the commit comes: by that of a writer, what another one
	// commits later could seem to be older, and nobody would look for it.
	fields[fieldStoredAt] = firestore.ServerTimestamp
	if !told.ExpireAt.IsZero() {
		fields[fieldExpireAt] = stamp(told.ExpireAt)
	}
	text, _ := fields["message"].(string)
	return &Document{
		JobID: m.GetJobId(), ID: documentID(m.GetEventId(), payload), fields: fields, size: len(payload) + len(text) + 512,
	}, nil
}

// stamp is a time as Firestore keeps it.
func stamp(t time.Time) time.Time { return t.UTC().Truncate(job.Precision) }

// plainID is an event id that can name a document.
var plainID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

// documentID is the event id. One that cannot name a document, or none, is
// replaced by one made of it and of what the event says.
func documentID(eventID string, payload []byte) string {
	if PlainID(eventID) {
		return eventID
	}
	if eventID != "" {
		return job.EventID("phase", eventID)
	}
	return job.EventID("phase", "", string(payload))
}

func kindOf(e *resiliencyv1.PhaseEvent) Kind {
	switch c := e.GetEvent().(type) {
	case *resiliencyv1.PhaseEvent_Started:
		return KindStarted
	case *resiliencyv1.PhaseEvent_Progressed:
		return KindProgressed
	case *resiliencyv1.PhaseEvent_Ended:
		if c.Ended.GetOutcome() == resiliencyv1.PhaseOutcome_PHASE_OUTCOME_FAILED {
			return KindFailed
		}
		return KindEnded
	case *resiliencyv1.PhaseEvent_Noted:
		return KindNoted
	case *resiliencyv1.PhaseEvent_Corrected:
		return KindCorrected
	case *resiliencyv1.PhaseEvent_FailureCaptured:
		return KindCaptured
	case *resiliencyv1.PhaseEvent_RecoveryJudged:
		return KindJudged
	case *resiliencyv1.PhaseEvent_DeadLettered:
		return KindDeadLettered
	default:
		return KindUnknown
	}
}

// PlainID reports whether a text can be the id of a document here.
func PlainID(id string) bool { return plainID.MatchString(id) && !strings.HasPrefix(id, "__") }

// Fields are what will be stored; not to be changed.
func (d *Document) Fields() map[string]any { return d.fields }
