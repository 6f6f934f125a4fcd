package bucket

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cloud.google.com/go/storage"
	"google.golang.org/api/iterator"
)

// ErrNoBucket says that the bucket does not exist. Of a single object Cloud
// Storage does not tell it from ErrNotFound; List does.
var ErrNoBucket = errors.New("bucket does not exist")

// ErrRefused says that this process may not do what it asked for.
var ErrRefused = errors.New("access is refused")

// Object is what is known of an object without reading it.
type Object struct {
	Name string
	// Size in bytes.
	Size int64
	// Updated is when its content or metadata was last written.
	Updated time.Time
	// Metadata is what its writer attached; List leaves it out.
	Metadata map[string]string
}

// Object looks an object up, what its writer attached included. Errors wrap
// ErrNotFound, which is permanent; a deleted object that the bucket still keeps
// is not there.
func (c *Client) Object(ctx context.Context, bucket, object string) (Object, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	a, err := c.storage.Bucket(bucket).Object(object).Attrs(ctx)
	if err != nil {
		return Object{}, fmt.Errorf("look up %s: %w", URI(bucket, object), categorize(err))
	}
	return Object{Name: a.Name, Size: a.Size, Updated: a.Updated.UTC(), Metadata: a.Metadata}, nil
}

// List calls fn with every object whose name begins with the prefix, in the order
// of names, until fn returns false. The deadline is the caller's, since a prefix
// may hold millions. An error after some objects means that there may be more.
func (c *Client) List(ctx context.Context, bucket, prefix string, fn func(Object) bool) error {
	query := &storage.Query{Prefix: prefix, Projection: storage.ProjectionNoACL}
	if err := query.SetAttrSelection([]string{"Name", "Size", "Updated"}); err != nil {
		return fmt.Errorf("list %s: %w", URI(bucket, prefix), err)
	}
	objects := c.storage.Bucket(bucket).Objects(ctx, query)
	for {
		a, err := objects.Next()
		switch {
		case errors.Is(err, iterator.Done):
			return nil
		case err != nil:
			return fmt.Errorf("list %s: %w", URI(bucket, prefix), categorize(err))
		case !fn(Object{Name: a.Name, Size: a.Size, Updated: a.Updated.UTC()}):
			return nil
		}
	}
}
