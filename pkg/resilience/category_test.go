package resilience_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/envision/resiliency/pkg/resilience"
)

func TestCategoryOf(t *testing.T) {
	t.Parallel()
	plain := errors.New("plain")
	unavailable := status.Error(codes.Unavailable, "down")
	cases := []struct {
		name string
		err  error
		want resilience.Category
	}{
		{"nil", nil, resilience.CategoryRetryable},
		{"plain", plain, resilience.CategoryRetryable},
		{"permanent", resilience.Permanent(plain), resilience.CategoryPermanent},
		{"permanent_wrapped", fmt.Errorf("decode: %w", resilience.Permanent(plain)), resilience.CategoryPermanent},
		{"outermost_mark_wins", resilience.Retryable(resilience.Permanent(plain)), resilience.CategoryRetryable},
		{"mark_beats_code", resilience.Permanent(unavailable), resilience.CategoryPermanent},
		{"code_unavailable", fmt.Errorf("commit: %w", unavailable), resilience.CategoryDependency},
		{"code_exhausted", status.Error(codes.ResourceExhausted, ""), resilience.CategoryDependency},
		{"code_internal", status.Error(codes.Internal, ""), resilience.CategoryDependency},
		{"code_deadline", status.Error(codes.DeadlineExceeded, ""), resilience.CategoryDependency},
		{"code_permission", status.Error(codes.PermissionDenied, ""), resilience.CategoryDependency},
		{"code_aborted", status.Error(codes.Aborted, ""), resilience.CategoryRetryable},
		{"code_invalid", status.Error(codes.InvalidArgument, ""), resilience.CategoryRetryable},
		{"code_canceled", status.Error(codes.Canceled, ""), resilience.CategoryRetryable},
		{"context_deadline", fmt.Errorf("get: %w", context.DeadlineExceeded), resilience.CategoryDependency},
		{"context_canceled", context.Canceled, resilience.CategoryRetryable},
		{"dependency", resilience.Dependency("firestore", plain), resilience.CategoryDependency},
		{"dependency_canceled", resilience.Dependency("firestore", context.Canceled), resilience.CategoryRetryable},
		{"dependency_canceled_code", resilience.Dependency("x", status.Error(codes.Canceled, "")), resilience.CategoryRetryable},
		{"join_all_permanent", errors.Join(resilience.Permanent(plain), resilience.Permanent(io.EOF)), resilience.CategoryPermanent},
		{"join_plain_has_no_vote", errors.Join(plain, resilience.Permanent(io.EOF)), resilience.CategoryPermanent},
		{"join_plain_has_no_vote_after", errors.Join(resilience.Permanent(io.EOF), plain), resilience.CategoryPermanent},
		{"join_retryable_beats_permanent", errors.Join(resilience.Permanent(io.EOF), resilience.Retryable(plain)), resilience.CategoryRetryable},
		{"join_retryable_first", errors.Join(resilience.Retryable(plain), resilience.Permanent(io.EOF)), resilience.CategoryRetryable},
		{"join_dependency_beats_all", errors.Join(resilience.Permanent(io.EOF), unavailable), resilience.CategoryDependency},
		{"two_verbs", fmt.Errorf("%w: %w", io.EOF, resilience.Permanent(plain)), resilience.CategoryPermanent},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := resilience.CategoryOf(tc.err); got != tc.want {
				t.Errorf("CategoryOf(%v) = %q, want %q", tc.err, got, tc.want)
			}
			if got := resilience.IsPermanent(tc.err); got != (tc.want == resilience.CategoryPermanent) {
				t.Errorf("IsPermanent(%v) = %v", tc.err, got)
			}
		})
	}
}

func TestMarks_KeepTheError(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		resilience.Permanent(io.ErrUnexpectedEOF),
		resilience.Retryable(io.ErrUnexpectedEOF),
		resilience.Dependency("pubsub", io.ErrUnexpectedEOF),
	} {
		if !errors.Is(err, io.ErrUnexpectedEOF) || err.Error() != io.ErrUnexpectedEOF.Error() {
			t.Errorf("mark changed the error: %v", err)
		}
	}
	for _, err := range []error{resilience.Permanent(nil), resilience.Retryable(nil), resilience.Dependency("x", nil)} {
		if err != nil {
			t.Errorf("nil became %v", err)
		}
	}
}

func TestDependencyOf(t *testing.T) {
	t.Parallel()
	err := resilience.Retryable(fmt.Errorf("apply: %w", resilience.Dependency("firestore", io.EOF)))
	if got := resilience.DependencyOf(err); got != "firestore" {
		t.Errorf("DependencyOf = %q, want firestore", got)
	}
	if got := resilience.DependencyOf(io.EOF); got != "" {
		t.Errorf("DependencyOf(EOF) = %q, want none", got)
	}
}
