//go:build integration

package stack_test

import (
	"net/http"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/envision/resiliency/test/stack"
)

func TestKubeProxy_fails_and_refuses_some_calls(t *testing.T) {
	t.Parallel()
	proxy, err := shared.StartKubeProxy()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := proxy.Close(); err != nil {
			t.Error(err)
		}
	})
	config, err := clientcmd.BuildConfigFromFlags("", proxy.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	list := func(selector string) error {
		_, err := client.BatchV1().Jobs("default").List(t.Context(), metav1.ListOptions{LabelSelector: selector})
		return err
	}
	proxy.Inject(stack.HTTPFault{Contains: "labelSelector=a=refused", As: "nobody"})
	proxy.Inject(stack.HTTPFault{Contains: "labelSelector=a=broken", Status: http.StatusInternalServerError})
	remove := proxy.Inject(stack.HTTPFault{Contains: "labelSelector=a=gone", Status: http.StatusServiceUnavailable})
	if err := list("a=refused"); !apierrors.IsForbidden(err) {
		t.Errorf("a user without rights: %v", err)
	}
	if err := list("a=broken"); !apierrors.IsInternalError(err) {
		t.Errorf("a broken API server: %v", err)
	}
	if err := list("a=gone"); !apierrors.IsServiceUnavailable(err) {
		t.Errorf("an API server that is away: %v", err)
	}
	remove()
	for _, selector := range []string{"a=gone", "a=well"} {
		if err := list(selector); err != nil {
			t.Errorf("%s: %v", selector, err)
		}
	}
}
