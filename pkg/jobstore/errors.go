package jobstore

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/envision/resiliency/pkg/resilience"
)

// dependencyName names Firestore in errors, so that a breaker can tell whose
// fault they are.
const dependencyName = "firestore"

// ErrContended says that a record changed under every try to change it. The
// claim is not lost: it can be applied again.
var ErrContended = errors.New("the record kept changing")

// errConflict says that a commit's precondition did not hold: the document is
// no longer the one that was read.
var errConflict = errors.New("conflict")

// errUnanswered says that Firestore was not asked, for it had just not answered.
var errUnanswered = errors.New("firestore did not answer the claim before")

// classify says who has to act on an error of Firestore. It must see the error
// as the client returned it.
func classify(err error) error {
	if err == nil {
		return nil
	}
	if resilience.Canceled(err) {
		return resilience.Retryable(err)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return resilience.Dependency(dependencyName, err)
	}
	s, ok := status.FromError(err)
	if !ok {
		// The client refused by itself, before it asked anybody.
		return resilience.Retryable(err)
	}
	switch s.Code() {
	case codes.InvalidArgument, codes.OutOfRange:
		// The document is too large or not well formed, and stays so.
		return resilience.Permanent(err)
	default:
		// Down, slow, exhausted, not permitted, no such database: everything that
		// needs Firestore fails alike until somebody or something mends it.
		return resilience.Dependency(dependencyName, err)
	}
}

// classifyCommit is classify for a commit, where some codes mean a conflict.
// NotFound is one: the document that was read has been deleted since.
func classifyCommit(err error) error {
	switch status.Code(err) {
	case codes.FailedPrecondition, codes.AlreadyExists, codes.Aborted, codes.NotFound:
		return fmt.Errorf("%w: %w", errConflict, err)
	default:
		return classify(err)
	}
}
