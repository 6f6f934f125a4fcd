package cluster

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Calls to the API server a second: a run may ask about thousands of jobs, and
// the product's own controllers come first.
const (
	callsPerSecond = 50
	callsAtOnce    = 100
)

// Connect returns a client of the cluster that the kubeconfig names (one path, or
// several as in the variable of that name), or without one of the cluster that
// this pod runs in. It makes no call.
func Connect(kubeconfig, agent string) (kubernetes.Interface, error) {
	cfg, err := restConfig(kubeconfig)
	if err != nil {
		return nil, err
	}
	cfg.UserAgent = agent
	cfg.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	cfg.ContentType = runtime.ContentTypeProtobuf
	cfg.QPS, cfg.Burst = callsPerSecond, callsAtOnce
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to the cluster at %s: %w", cfg.Host, err)
	}
	return client, nil
}

func restConfig(kubeconfig string) (*rest.Config, error) {
	if kubeconfig == "" {
		cfg, err := rest.InClusterConfig()
		if err != nil {
			return nil, fmt.Errorf("use the access of the pod this runs in (outside a cluster, set KUBECONFIG): %w", err)
		}
		return cfg, nil
	}
	rules := &clientcmd.ClientConfigLoadingRules{Precedence: filepath.SplitList(kubeconfig)}
	cfg, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig %s: %w", kubeconfig, err)
	}
	return cfg, nil
}

// CheckAccess asks the API server whether this process may read what it has to in
// each namespace, and tells in one sentence all that it may not. The right to
// list Events is not needed: without it, that a quota is used up stays unknown.
func (p *Prober) CheckAccess(ctx context.Context) error {
	var missing []string
	for _, ns := range p.namespaces {
		for _, need := range [][3]string{{"batch", "jobs", "get"}, {"batch", "jobs", "list"}, {"", "pods", "list"}} {
			review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
				ResourceAttributes: &authorizationv1.ResourceAttributes{
					Namespace: ns, Group: need[0], Resource: need[1], Verb: need[2],
				},
			}}
			answer, err := call(ctx, p.cfg.Timeout, func(ctx context.Context) (*authorizationv1.SelfSubjectAccessReview, error) {
				return p.client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
			})
			if err != nil {
				return fmt.Errorf("ask the API server for this service's rights: %w", err)
			}
			if !answer.Status.Allowed {
				missing = append(missing, fmt.Sprintf("may not %s %s in namespace %s", need[2], need[1], ns))
			}
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%s", strings.Join(missing, ", ")) //nolint:err113 // a sentence for the operator
	}
	return nil
}
