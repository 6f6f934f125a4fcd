package replay

import (
	"context"
	"fmt"
	"io"

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
	object, err := b.object(uri)
	if err != nil {
		return nil, err
	}
	return b.Client.Get(ctx, b.Name, object, messaging.MaxMessage) //nolint:wrapcheck // it names the object
}

// Open is Fetch for who passes the payload on as it comes, and closes it.
func (b Bucket) Open(ctx context.Context, uri string) (io.ReadCloser, int64, error) {
	object, err := b.object(uri)
	if err != nil {
		return nil, 0, err
	}
	return b.Client.Open(ctx, b.Name, object, messaging.MaxMessage) //nolint:wrapcheck // it names the object
}

// object is the name of what a letter points to.
func (b Bucket) object(uri string) (string, error) {
	name, object, err := bucket.ParseURI(uri)
	if err != nil {
		return "", err //nolint:wrapcheck // it names the pointer
	}
	if name != b.Name {
		return "", resilience.Permanent(fmt.Errorf("%s is not in the bucket that is configured (LETTERS_BUCKET)", uri))
	}
	return object, nil
}
