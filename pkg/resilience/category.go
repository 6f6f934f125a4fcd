package resilience

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Category says who has to act so that the failed thing can work.
type Category string

const (
	// CategoryPermanent means that no retry can help: the input itself is at fault.
	CategoryPermanent Category = "permanent"
	// CategoryRetryable means that the same thing may work next time. The default.
	CategoryRetryable Category = "retryable"
	// CategoryDependency means that something that we depend on is down, so everything
	// that needs it fails alike and it is better to wait than to retry.
	CategoryDependency Category = "dependency"
)

// marked is an error whose category somebody has stated.
type marked struct {
	category   Category
	dependency string
	err        error
}

// Error is the text of the marked error, unchanged.
func (m *marked) Error() string { return m.err.Error() }

// Unwrap gives errors.Is and errors.As the marked error.
func (m *marked) Unwrap() error { return m.err }

// Permanent marks err as one that no retry can mend. nil stays nil.
func Permanent(err error) error { return mark(CategoryPermanent, "", err) }

// Retryable marks err as one that may go away by itself, whatever it wraps.
// nil stays nil.
func Retryable(err error) error { return mark(CategoryRetryable, "", err) }

// Dependency marks err as a fault of the named dependency ("firestore",
// "pubsub"). nil stays nil. A call that the caller itself cancelled says
// nothing about the dependency, so that is marked retryable.
func Dependency(name string, err error) error {
	if Canceled(err) {
		return Retryable(err)
	}
	return mark(CategoryDependency, name, err)
}

func mark(category Category, dependency string, err error) error {
	if err == nil {
		return nil
	}
	return &marked{category: category, dependency: dependency, err: err}
}

// CategoryOf returns the category of err: the outermost mark decides, since
// whoever wrapped last knew most; without a mark, the gRPC code. Of joined
// errors, dependency beats retryable beats permanent, and those without an
// opinion do not count: a message is given up only if nothing in it may still
// work. Without any opinion, and for nil, it is CategoryRetryable.
func CategoryOf(err error) Category {
	if category := opinion(err); category != "" {
		return category
	}
	return CategoryRetryable
}

// IsPermanent reports whether no retry can help.
func IsPermanent(err error) bool { return CategoryOf(err) == CategoryPermanent }

// DependencyOf returns the name given to Dependency, "" if there is none.
func DependencyOf(err error) string {
	for err != nil {
		m, ok := errors.AsType[*marked](err)
		if !ok {
			return ""
		}
		if m.dependency != "" {
			return m.dependency
		}
		err = m.err
	}
	return ""
}

// Canceled reports whether err comes from the caller's own cancellation, as a
// Go or as a gRPC error.
func Canceled(err error) bool {
	return errors.Is(err, context.Canceled) || (err != nil && status.Code(err) == codes.Canceled)
}

// opinion walks the tree of err; "" means that nothing in it says anything.
func opinion(err error) Category {
	switch e := err.(type) { //nolint:errorlint // walks the tree node by node
	case nil:
		return ""
	case *marked:
		return e.category
	case interface{ GRPCStatus() *status.Status }:
		return categoryOfCode(e.GRPCStatus().Code())
	case interface{ Unwrap() []error }:
		return joinedOpinion(e.Unwrap())
	case interface{ Unwrap() error }:
		return opinion(e.Unwrap())
	}
	if err == context.DeadlineExceeded { //nolint:errorlint // leaf of the walk
		// Something did not answer in time.
		return CategoryDependency
	}
	return ""
}

func joinedOpinion(errs []error) Category {
	found := Category("")
	for _, err := range errs {
		switch category := opinion(err); {
		case category == CategoryDependency:
			return CategoryDependency
		case category == CategoryRetryable, found == "":
			found = category
		}
	}
	return found
}

// categoryOfCode judges a gRPC code as a client sees it. What a server says of
// one request alone (InvalidArgument, FailedPrecondition, Aborted, NotFound)
// is left to the caller, who knows what was asked: hence no permanent here.
func categoryOfCode(code codes.Code) Category {
	switch code {
	case codes.Unavailable, codes.DeadlineExceeded, codes.ResourceExhausted, codes.Internal, codes.DataLoss,
		// Wrong rights hit every request alike, until somebody mends them.
		codes.PermissionDenied, codes.Unauthenticated:
		return CategoryDependency
	default:
		return CategoryRetryable
	}
}
