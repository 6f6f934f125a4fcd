package letters

import (
	"fmt"

	"cloud.google.com/go/firestore"

	"github.com/envision/resiliency/pkg/resilience"
)

// listFields are the fields that a list reads: small ones, so that a page of
// large letters is a small answer.
func listFields() []string {
	return []string{
		"state", "subscription", "topic", "type", "event_id", "job_id", "tenant", "correlation_id",
		"attempts", "reason", "category", "dependency", "fingerprint", "count",
		"published_at", "first_seen_at", "last_seen_at",
		"payload_uri", "payload_size", "payload_sha256",
		"cleanup", "pending", "episode", "replays", "auto_replays", "claim", "last_error", "closed_at", "expires_at",
	}
}

// changing are the fields that may change after a letter was created.
func (l *Letter) changing() []firestore.Update {
	set := func(path string, value any) firestore.Update { return firestore.Update{Path: path, Value: value} }
	updates := []firestore.Update{
		set("state", l.State), set("tenant", l.Tenant),
		set("attempts", l.Attempts), set("reason", l.Reason), set("category", l.Category),
		set("dependency", l.Dependency), set("fingerprint", l.Fingerprint), set("count", l.Count),
		set("last_seen_at", l.LastSeenAt), set("cleanup", l.Cleanup), set("pending", l.Pending),
		set("episode", l.Episode), set("replays", l.Replays), set("auto_replays", l.AutoReplays),
		set("claim", l.Claim), set("last_error", l.LastError),
		set("history", l.History), set("message_ids", l.MessageIDs),
	}
	if l.ClosedAt.IsZero() {
		return append(updates, set("closed_at", firestore.Delete), set("expires_at", firestore.Delete))
	}
	return append(updates, set("closed_at", l.ClosedAt), set("expires_at", l.ExpiresAt))
}

func decodeLetter(snap *firestore.DocumentSnapshot) (Letter, error) {
	var l Letter
	if err := snap.DataTo(&l); err != nil {
		return Letter{}, resilience.Permanent(fmt.Errorf("decode letter %s: %w", snap.Ref.ID, err))
	}
	l.ID, l.UpdateTime = snap.Ref.ID, snap.UpdateTime
	return l, nil
}
