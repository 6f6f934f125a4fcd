package capture

import (
	"context"
	"errors"
	"fmt"

	"github.com/envision/resiliency/pkg/bucket"
)

// ErrNoBucket says that a payload is too large for Firestore and no bucket is
// configured to take it. The letter waits in its subscription until one is.
var ErrNoBucket = errors.New("the payload is too large for Firestore and no bucket is configured (LETTERS_BUCKET)")

// Bucket keeps large payloads in Cloud Storage.
type Bucket struct {
	// Client writes the objects.
	Client *bucket.Client
	// Name is the bucket; "" refuses every payload with ErrNoBucket.
	Name string
}

// Keep writes a payload under its letter and its hash, so that to keep it twice
// is to keep it once.
func (b Bucket) Keep(ctx context.Context, letterID, sha256 string, payload []byte) (string, error) {
	if b.Name == "" {
		return "", ErrNoBucket
	}
	object := "dead-letters/" + letterID + "/" + sha256
	if err := b.Client.Put(ctx, b.Name, object, payload); err != nil {
		return "", fmt.Errorf("write the object: %w", err)
	}
	return bucket.URI(b.Name, object), nil
}
