package messaging

import (
	"context"
	"errors"
	"fmt"

	"cloud.google.com/go/pubsub/v2"
	"google.golang.org/api/option"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Dependency is the name of Pub/Sub in errors and breakers.
const Dependency = "pubsub"

// NewClient connects to Pub/Sub in the project, or to the emulator that
// PUBSUB_EMULATOR_HOST names. It makes no call: Check of a Publisher or
// Subscriber tells whether Pub/Sub answers.
func NewClient(ctx context.Context, projectID string, opts ...option.ClientOption) (*pubsub.Client, error) {
	if projectID == "" {
		return nil, errors.New("connect to Pub/Sub: no project given")
	}
	client, err := pubsub.NewClient(ctx, projectID, opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to Pub/Sub in project %s: %w", projectID, err)
	}
	return client, nil
}

// exists judges the answer to a request for a topic or subscription. Roles that
// may publish or consume may often not read the settings: a refusal still
// proves that Pub/Sub is there and knows us.
func exists(what string, err error) error {
	switch status.Code(err) {
	case codes.OK, codes.PermissionDenied, codes.Unimplemented:
		return nil
	default:
		return fmt.Errorf("look up %s: %w", what, outage(err))
	}
}
