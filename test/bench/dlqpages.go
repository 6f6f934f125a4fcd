package bench

import (
	"context"
	"fmt"
	"strconv"

	"cloud.google.com/go/firestore"
)

// pagesOfRound is how many pages a round reads, one after another. They are few:
// the emulator has no indexes and takes a second or more for each.
const pagesOfRound = 2

// round reads the first page of everything as a caller of the API does.
func (a *letterAPI) round(ctx context.Context, _ int) (int, error) {
	for range pagesOfRound {
		if _, err := a.get(ctx, operator, "/api/letters?state=ANY&limit="+strconv.Itoa(letterPage)); err != nil {
			return 0, err
		}
	}
	return pagesOfRound, nil
}

// barePages reads the same documents with Firestore's client alone.
type barePages struct{ client *firestore.Client }

// letterRow are the fields of a row of the list: the same as the service asks for.
func letterRow() []string {
	return []string{
		"state", "subscription", "topic", "type", "event_id", "job_id", "tenant", "correlation_id",
		"attempts", "reason", "category", "dependency", "fingerprint", "count",
		"published_at", "first_seen_at", "last_seen_at", "payload_uri", "payload_size", "payload_sha256",
		"cleanup", "pending", "episode", "replays", "auto_replays", "claim", "last_error", "closed_at", "expires_at",
	}
}

func (b *barePages) round(ctx context.Context, _ int) (int, error) {
	query := b.client.Collection("dead_letters").Select(letterRow()...).
		OrderBy("last_seen_at", firestore.Desc).OrderBy(firestore.DocumentID, firestore.Desc).Limit(letterPage + 1)
	for range pagesOfRound {
		docs, err := query.Documents(ctx).GetAll()
		if err != nil {
			return 0, fmt.Errorf("bare query: %w", err)
		}
		if len(docs) != letterPage+1 {
			return 0, fmt.Errorf("bare query: %d letters instead of %d", len(docs), letterPage+1)
		}
	}
	return pagesOfRound, nil
}
