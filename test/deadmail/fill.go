package deadmail

import (
	"context"
	"fmt"
	"time"

	"cloud.google.com/go/firestore"
	"golang.org/x/sync/errgroup"
)

// collection is where dlq-handler keeps letters.
const collection = "dead_letters"

const (
	perCommit = 500 // Firestore's limit of writes in one commit
	atOnce    = 8
)

// Fill stores letters 0 to n-1, the first one newest and each a second older than
// the one before, beginning with the given time.
func Fill(ctx context.Context, client *firestore.Client, n int, newest time.Time) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for from := 0; from < n; from += perCommit {
		group.Go(func() error { return store(ctx, client, from, min(from+perCommit, n), newest) })
	}
	return group.Wait() //nolint:wrapcheck // store says which letters
}

func store(ctx context.Context, client *firestore.Client, from, to int, newest time.Time) error {
	batch := client.Batch() //nolint:staticcheck // the one way to a commit of many writes without a transaction
	for n := from; n < to; n++ {
		l, err := Letter(n, newest.Add(-time.Duration(n)*time.Second))
		if err != nil {
			return err
		}
		batch.Create(client.Collection(collection).Doc(l.ID), &l)
	}
	if _, err := batch.Commit(ctx); err != nil {
		return fmt.Errorf("store letters %d to %d: %w", from, to-1, err)
	}
	return nil
}
