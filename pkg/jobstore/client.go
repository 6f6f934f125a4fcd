package jobstore

import (
	"context"
	"errors"
	"fmt"

	"cloud.google.com/go/firestore"
	"google.golang.org/api/option"
)

// DefaultDatabase is the name of a project's default database.
const DefaultDatabase = firestore.DefaultDatabaseID

// NewClient connects to a Firestore database of the project, or to the emulator
// that FIRESTORE_EMULATOR_HOST names. It makes no call: Store.Ping tells whether
// Firestore answers.
func NewClient(ctx context.Context, projectID, database string, opts ...option.ClientOption) (*firestore.Client, error) {
	if projectID == "" {
		return nil, errors.New("connect to Firestore: no project given")
	}
	if database == "" {
		database = DefaultDatabase
	}
	client, err := firestore.NewClientWithDatabase(ctx, projectID, database, opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to Firestore database %s of project %s: %w", database, projectID, err)
	}
	return client, nil
}
