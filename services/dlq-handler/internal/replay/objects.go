package replay

import (
	"context"
	"fmt"

	"github.com/envision/resiliency/pkg/bucket"
	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/resilience"
)

// Bucket reads large payloads from Cloud Storage.
type Bucket struct {
	// Client reads the objects.
	Client *bucket.Client
	// Name is the only bucket that is read: a pointer elsewhere is refused.
	Name string
}

// Fetch reads the payload that a letter points to.
func (b Bucket) Fetch(ctx context.Context, uri string) ([]byte, error) {
	name, object, err := bucket.ParseURI(uri)
	if err != nil {
		return nil, err //nolint:wrapcheck // it names the pointer
	}
	if name != b.Name {
		return nil, resilience.Permanent(fmt.Errorf("%s is not in the bucket that is configured (LETTERS_BUCKET)", uri))
	}
	return b.Client.Get(ctx, name, object, messaging.MaxMessage) //nolint:wrapcheck // it names the object
}
