package cluster

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/envision/resiliency/pkg/kube"
)

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
			return a.Namespace != "b" || a.Verb != "list", nil
		}, "may not list jobs in namespace b, may not list pods in namespace b"},
		{"no_answer", func(*authorizationv1.ResourceAttributes) (bool, error) { return false, down }, "ask the API server for this service's rights: connection refused"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			api := fake.NewClientset()
			api.PrependReactor("create", "selfsubjectaccessreviews", func(a clienttesting.Action) (bool, runtime.Object, error) {
				review := a.(clienttesting.CreateAction).GetObject().(*authorizationv1.SelfSubjectAccessReview).DeepCopy()
				ok, err := c.allowed(review.Spec.ResourceAttributes)
				review.Status.Allowed = ok
				return true, review, err
			})
			got := ""
			p := New(api, &kube.Mapper{Tenants: map[string]string{"b": "t", "a": "t"}}, Config{}, noon, zerolog.Nop())
			if err := p.CheckAccess(t.Context()); err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestConnect_refuses(t *testing.T) {
	t.Parallel()
	broken := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(broken, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{broken, filepath.Join(t.TempDir(), "absent")} {
		if _, err := Connect(path, "test"); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want an error that names the file", path, err)
		}
	}
}
