package app

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// allowing answers each request for a right with what allowed says of it.
func allowing(allowed func(a *authorizationv1.ResourceAttributes) (bool, error)) *fake.Clientset {
	api := fake.NewClientset()
	api.PrependReactor("create", "selfsubjectaccessreviews", func(a clienttesting.Action) (bool, runtime.Object, error) {
		review := a.(clienttesting.CreateAction).GetObject().(*authorizationv1.SelfSubjectAccessReview).DeepCopy()
		ok, err := allowed(review.Spec.ResourceAttributes)
		review.Status.Allowed = ok
		return true, review, err
	})
	return api
}

func TestCheckAccess(t *testing.T) {
	t.Parallel()
	down := errors.New("connection refused")
	cases := []struct {
		name    string
		allowed func(*authorizationv1.ResourceAttributes) (bool, error)
		want    string
	}{
		{"all", func(*authorizationv1.ResourceAttributes) (bool, error) { return true, nil }, ""},
		{"some_missing", func(a *authorizationv1.ResourceAttributes) (bool, error) {
			return a.Namespace != "b" || a.Verb != "watch", nil
		}, "may not watch jobs in namespace b, may not watch pods in namespace b"},
		{"jobs_of_another_group_do_not_count", func(a *authorizationv1.ResourceAttributes) (bool, error) {
			return a.Resource != "jobs" || a.Group == "batch", nil
		}, ""},
		{"no_answer", func(*authorizationv1.ResourceAttributes) (bool, error) { return false, down }, "ask the API server for this service's rights: connection refused"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := ""
			if err := checkAccess(t.Context(), allowing(c.allowed), watchNeeds([]string{"a", "b"})); err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// Read as a right in kube-system, it would be given there, which Autopilot refuses.
func TestCheckAccess_names_the_namespace_itself(t *testing.T) {
	t.Parallel()
	api := allowing(func(a *authorizationv1.ResourceAttributes) (bool, error) { return a.Resource != "namespaces", nil })
	err := checkAccess(t.Context(), api, replicaNeeds(&Election{WatermarkNamespace: "resiliency"}))
	if want := "may not get namespace kube-system"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %q", err, want)
	}
}

func TestNewClient_refuses(t *testing.T) {
	t.Parallel()
	broken := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(broken, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{broken, filepath.Join(t.TempDir(), "absent")} {
		if _, err := newClient(path, "dev", callsPerSecond); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want an error that names the file", path, err)
		}
	}
}

func TestReady(t *testing.T) {
	t.Parallel()
	var newest, check error
	calls := 0
	ready := ready(
		func(context.Context) error { return newest },
		func(context.Context) error { calls++; return check },
	)
	missing, down := errors.New("topic missing"), errors.New("down")
	steps := []struct {
		newest, check, want error
		calls               int
	}{
		{nil, missing, missing, 1},
		{nil, nil, nil, 2},
		{nil, missing, nil, 2}, // seen once: asked no more
		{down, nil, down, 2},
		{nil, nil, nil, 2},
	}
	for i, s := range steps {
		newest, check = s.newest, s.check
		if err := ready(t.Context()); !errors.Is(err, s.want) || calls != s.calls {
			t.Errorf("step %d: %v after %d calls, want %v after %d", i, err, calls, s.want, s.calls)
		}
	}
}
