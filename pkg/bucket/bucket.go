package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"cloud.google.com/go/storage"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/option"

	"github.com/envision/resiliency/pkg/resilience"
)

// Dependency is the name of Cloud Storage in errors and breakers.
const Dependency = "gcs"

// DefaultTimeout bounds one call. It is long enough for an object of some
// megabytes; until then the client library repeats a read that fails.
const DefaultTimeout = 20 * time.Second

// writes is how a write that fails is repeated, which the client library does only
// for what it has copied: often enough for one server that is restarted, and soon
// over when all are down, since others wait for the caller.
var writes = resilience.Backoff{Initial: 200 * time.Millisecond, Attempts: 3} //nolint:gochecknoglobals // constant

// ErrNotFound says that the object does not exist.
var ErrNotFound = errors.New("object does not exist")

// ErrTooLarge says that an object is larger than the caller wants to hold.
var ErrTooLarge = errors.New("object is too large")

// Client reads and writes objects. It is safe for concurrent use.
type Client struct {
	storage *storage.Client
	timeout time.Duration
}

// New connects to Cloud Storage, or to the server that STORAGE_EMULATOR_HOST
// names. It makes no call. A timeout of 0 takes DefaultTimeout.
func New(ctx context.Context, timeout time.Duration, opts ...option.ClientOption) (*Client, error) {
	// JSON rather than the older XML, which stand-ins speak less well.
	client, err := storage.NewClient(ctx, append([]option.ClientOption{storage.WithJSONReads()}, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("connect to Cloud Storage: %w", err)
	}
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	return &Client{storage: client, timeout: timeout}, nil
}

// Close ends the client.
func (c *Client) Close() error {
	if err := c.storage.Close(); err != nil {
		return fmt.Errorf("close the Cloud Storage client: %w", err)
	}
	return nil
}

// Put writes an object over what was there: written twice with the same bytes
// it is the same object, so a try that may go better is repeated.
func (c *Client) Put(ctx context.Context, bucket, object string, data []byte) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var refused error
	err := writes.Retry(ctx, func(ctx context.Context) error {
		err := c.write(ctx, bucket, object, data)
		if err != nil && !storage.ShouldRetry(err) {
			refused = err
			return nil // another try would hear the same
		}
		return err
	})
	if refused != nil {
		err = refused
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", URI(bucket, object), categorize(err))
	}
	return nil
}

func (c *Client) write(ctx context.Context, bucket, object string, data []byte) error {
	w := c.storage.Bucket(bucket).Object(object).NewWriter(ctx)
	w.ChunkSize = 0 // one request and no copy of the data
	w.ContentType = "application/octet-stream"
	_, err := w.Write(data)
	if closeErr := w.Close(); err == nil {
		err = closeErr
	}
	return err //nolint:wrapcheck // Put wraps it
}

// Get reads an object of at most limit bytes. Errors wrap ErrNotFound or
// ErrTooLarge, which are permanent, or have the category of the fault.
func (c *Client) Get(ctx context.Context, bucket, object string, limit int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	data, err := c.read(ctx, bucket, object, limit)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", URI(bucket, object), categorize(err))
	}
	return data, nil
}

// Open begins to read an object of at most limit bytes, and tells its size: for
// who passes it on and need not hold it. The deadline of all of it is the caller's,
// as is to close it. Errors are those of Get.
func (c *Client) Open(ctx context.Context, bucket, object string, limit int64) (content io.ReadCloser, size int64, err error) {
	r, err := c.open(ctx, bucket, object, limit)
	if err != nil {
		return nil, 0, fmt.Errorf("read %s: %w", URI(bucket, object), categorize(err))
	}
	return r, r.Attrs.Size, nil
}

func (c *Client) open(ctx context.Context, bucket, object string, limit int64) (*storage.Reader, error) {
	r, err := c.storage.Bucket(bucket).Object(object).NewReader(ctx)
	if err != nil {
		return nil, err //nolint:wrapcheck // the callers wrap it
	}
	if r.Attrs.Size > limit {
		_ = r.Close() // nothing was written
		return nil, resilience.Permanent(fmt.Errorf("%w: %d bytes, at most %d are read", ErrTooLarge, r.Attrs.Size, limit))
	}
	return r, nil
}

func (c *Client) read(ctx context.Context, bucket, object string, limit int64) ([]byte, error) {
	r, err := c.open(ctx, bucket, object, limit)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }() // nothing was written
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = resilience.Permanent(fmt.Errorf("%w: at most %d bytes are read", ErrTooLarge, limit))
	}
	return data, err
}

// Check returns nil if the bucket is there, for a check at start-up. Who may
// write objects may often not look at the bucket: a refusal passes.
func (c *Client) Check(ctx context.Context, bucket string) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	_, err := c.storage.Bucket(bucket).Attrs(ctx)
	if api, ok := errors.AsType[*googleapi.Error](err); ok && api.Code == http.StatusForbidden {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look up bucket %s: %w", bucket, categorize(err))
	}
	return nil
}

// URI names an object as gs://bucket/object.
func URI(bucket, object string) string { return "gs://" + bucket + "/" + object }

// ParseURI reads what URI writes. The error is permanent.
func ParseURI(uri string) (bucket, object string, err error) {
	path, ok := strings.CutPrefix(uri, "gs://")
	bucket, object, found := strings.Cut(path, "/")
	if !ok || !found || bucket == "" || object == "" {
		return "", "", resilience.Permanent(fmt.Errorf("%q is not of the form gs://bucket/object", uri))
	}
	return bucket, object, nil
}

// categorize says who has to act on an error of Cloud Storage.
func categorize(err error) error {
	api, isAPI := errors.AsType[*googleapi.Error](err)
	switch {
	case err == nil || resilience.IsPermanent(err):
		return err
	case errors.Is(err, storage.ErrObjectNotExist):
		return resilience.Permanent(fmt.Errorf("%w: %w", ErrNotFound, err))
	case errors.Is(err, storage.ErrBucketNotExist):
		return resilience.Dependency(Dependency, fmt.Errorf("%w: %w", ErrNoBucket, err))
	case isAPI && (api.Code == http.StatusForbidden || api.Code == http.StatusUnauthorized):
		return resilience.Dependency(Dependency, fmt.Errorf("%w: %w", ErrRefused, err))
	case isAPI && api.Code == http.StatusBadRequest:
		return resilience.Permanent(err)
	default:
		// Down, slow, not permitted, no such bucket: every object fails alike.
		return resilience.Dependency(Dependency, err)
	}
}
