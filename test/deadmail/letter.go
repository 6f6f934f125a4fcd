package deadmail

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobevent"
	"github.com/envision/resiliency/pkg/jobstore/letters"
	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/pkg/resilience"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// The numbers of different values in a collection.
const (
	Tenants      = 20
	Fingerprints = 40
)

// Tenant is that of letter n. Tenants, fingerprints and states are spread evenly
// and not in step with each other.
func Tenant(n int) string { return fmt.Sprintf("team-%02d", n/12%Tenants) }

// Fingerprint is that of letter n.
func Fingerprint(n int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "cause %d", n/7%Fingerprints))
	return hex.EncodeToString(sum[:8])
}

// JobID is the job of letter n; a job has four letters.
func JobID(n int) string { return fmt.Sprintf("render-%06d", n/4) }

// Event is the claim that letter n lost: one of the usual size, about a job that
// runs.
func Event(n int, at time.Time) job.Observation {
	created := at.Add(-10 * time.Minute).Truncate(time.Second)
	id := JobID(n)
	return job.Observation{
		EventID: job.EventID("deadmail", fmt.Sprint(n)),
		JobID:   id, Attempt: 1, Ordinal: job.OrdinalKubernetes, Stage: job.StageKubernetes,
		OccurredAt: at.UTC().Truncate(time.Second), Source: resiliencyv1.Source_SOURCE_EVENT_STREAMER,
		CorrelationID: "upload-" + id, Owner: "scheduler", Tenant: Tenant(n), OutputURI: "gs://renders/" + id + "/",
		Kubernetes: job.Kubernetes{
			Cluster: "batch-1", Namespace: Tenant(n), Name: id, UID: job.EventID("uid", id), CreatedAt: created.UTC(),
		},
		Kind: job.KindStatus, State: job.StateRunning, Generation: 1,
	}
}

// Letter is letter n of a collection as dlq-handler stores it, seen at that time:
// 70 of 100 are open, 20 replayed, 10 discarded.
func Letter(n int, at time.Time) (letters.Letter, error) {
	event := Event(n, at)
	l, err := OpenLetter(&event, at)
	if err != nil {
		return letters.Letter{}, err
	}
	l.Fingerprint = Fingerprint(n)
	if n%3 == 0 { // a third of them came by the log
		l.Subscription, l.Topic = topology.SubscriptionJobLogEntriesStatusUpdater, topology.TopicJobLogEntries
		l.ID = letters.ID(l.Subscription, l.JobID, l.EventID, l.Payload, l.Attributes)
	}
	switch {
	case n%10 < 7:
	case n%10 < 9:
		Close(&l, letters.StateReplayed, l.LastSeenAt.Add(time.Minute))
	default:
		Close(&l, letters.StateDiscarded, l.LastSeenAt.Add(time.Minute))
	}
	return l, nil
}

// OpenLetter is the letter of a claim that was delivered ten times and could not
// be committed.
func OpenLetter(event *job.Observation, at time.Time) (letters.Letter, error) {
	at = at.UTC().Truncate(time.Microsecond)
	message := jobevent.Encode(event)
	payload, err := proto.Marshal(message)
	if err != nil {
		return letters.Letter{}, fmt.Errorf("payload of a letter of job %s: %w", event.JobID, err)
	}
	var decoded bytes.Buffer
	if err := json.Indent(&decoded, []byte(protojson.MarshalOptions{UseProtoNames: true}.Format(message)), "", "  "); err != nil {
		return letters.Letter{}, fmt.Errorf("view of a letter of job %s: %w", event.JobID, err)
	}
	sum := sha256.Sum256(payload)
	l := letters.Letter{
		State: letters.StateOpen, Subscription: topology.SubscriptionJobEventsStatusUpdater, Topic: topology.TopicJobEvents,
		Type: string(message.ProtoReflect().Descriptor().FullName()), EventID: message.GetEventId(),
		JobID: event.JobID, Tenant: event.Tenant, CorrelationID: event.CorrelationID, Attempts: 10,
		Reason:   "commit job " + event.JobID + ": rpc error: code = Aborted desc = too much contention on these documents",
		Category: resilience.CategoryRetryable, Count: 1,
		PublishedAt: at.Add(-time.Minute), FirstSeenAt: at, LastSeenAt: at,
		Payload: payload, PayloadSize: int64(len(payload)), PayloadSHA256: hex.EncodeToString(sum[:]),
		Attributes: []letters.Attribute{
			{Key: messaging.AttributeCorrelationID, Value: event.CorrelationID},
			{Key: messaging.AttributeEventID, Value: message.GetEventId()},
			{Key: messaging.AttributeJobID, Value: event.JobID},
			{Key: messaging.AttributeType, Value: string(message.ProtoReflect().Descriptor().FullName())},
		},
		Decoded: decoded.String(),
		Cleanup: letters.Cleanup{Action: "kept", Text: "The job has a record; nothing was changed.", At: at},
		Episode: 1, MessageIDs: []string{event.EventID},
	}
	l.History = []letters.Event{{At: at, What: letters.EventCaptured, Who: l.Subscription, Reason: l.Reason}}
	l.ID = letters.ID(l.Subscription, l.JobID, l.EventID, payload, l.Attributes)
	return l, nil
}

// Close gives a letter the state in which somebody left it at that time.
func Close(l *letters.Letter, state letters.State, at time.Time) {
	at = at.UTC().Truncate(time.Microsecond)
	event := letters.Event{At: at, What: letters.EventDiscarded, Who: "operator@example.com", Reason: "it is known"}
	if state == letters.StateReplayed {
		event.What, event.Reason = letters.EventReplayed, "what it died of is over"
		l.Replays, l.Claim = 1, letters.Claim{By: event.Who, At: at, Until: at.Add(time.Minute)}
	}
	l.State, l.ClosedAt, l.ExpiresAt = state, at, at.Add(letters.KeepClosed)
	l.History = append(l.History, event)
}
