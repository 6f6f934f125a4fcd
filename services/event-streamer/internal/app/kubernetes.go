package app

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

// callsPerSecond is the watch's share. A burst of deletions makes one Get each; the
// API server's own fairness guards it, so the limit need only be no bottleneck.
const callsPerSecond = 100

// newClient connects to the cluster, with a rate limit of its own. It makes no call.
func newClient(kubeconfig, version string, perSecond int) (kubernetes.Interface, error) {
	cfg, err := restConfig(kubeconfig)
	if err != nil {
		return nil, err
	}
	cfg.UserAgent = "event-streamer/" + version
	// Protobuf costs a third of JSON's CPU and garbage on a busy watch.
	cfg.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	cfg.ContentType = runtime.ContentTypeProtobuf
	cfg.QPS, cfg.Burst = float32(perSecond), 2*perSecond
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

// need is one right that the service cannot work without; name is empty for all
// objects of the resource.
type need struct{ group, resource, verb, namespace, name string }

// object says what the right is about. A namespace is in none, though the API server
// takes it to be in itself.
func (n need) object() string {
	if n.resource == "namespaces" {
		return "namespace " + n.name
	}
	return n.resource + " in namespace " + n.namespace
}

// watchNeeds are the rights to what is watched.
func watchNeeds(namespaces []string) (all []need) {
	for _, ns := range namespaces {
		all = append(all,
			need{"batch", "jobs", "get", ns, ""}, need{"batch", "jobs", "list", ns, ""}, need{"batch", "jobs", "watch", ns, ""},
			need{"", "pods", "list", ns, ""}, need{"", "pods", "watch", ns, ""})
	}
	return all
}

// capsuleNeeds are the rights to what failed pods leave behind.
func capsuleNeeds(namespaces []string) (all []need) {
	for _, ns := range namespaces {
		all = append(all, need{"", "pods", "get", ns, ""}, need{"", "pods/log", "get", ns, ""}, need{"", "events", "list", ns, ""})
	}
	return all
}

// replicaNeeds are the rights to what replicas share. The right to create cannot
// be had for one name alone.
func replicaNeeds(e *Election) []need {
	const group = "coordination.k8s.io"
	all := []need{
		{"", "namespaces", "get", clusterNamespace, clusterNamespace},
		{"", "configmaps", "create", e.WatermarkNamespace, ""},
		{"", "configmaps", "get", e.WatermarkNamespace, e.watermark()}, {"", "configmaps", "update", e.WatermarkNamespace, e.watermark()},
	}
	if e.Enabled {
		all = append(all, need{group, "leases", "create", e.Namespace, ""},
			need{group, "leases", "get", e.Namespace, e.Name}, need{group, "leases", "update", e.Namespace, e.Name})
	}
	return all
}

// clusterNamespace is the namespace whose uid is the cluster's: it lives as long
// as the cluster.
const clusterNamespace = metav1.NamespaceSystem

// clusterUID tells this cluster from one rebuilt under its name.
func clusterUID(ctx context.Context, client kubernetes.Interface) (string, error) {
	ns, err := client.CoreV1().Namespaces().Get(ctx, clusterNamespace, metav1.GetOptions{})
	if err != nil {
		return "", fmt.Errorf("read namespace %s for the cluster's uid: %w", clusterNamespace, err)
	}
	return string(ns.UID), nil
}

// checkAccess asks the API server whether this process has every right that it
// needs, and tells all that are missing at once.
func checkAccess(ctx context.Context, client kubernetes.Interface, needs []need) error {
	var errs []error
	for _, n := range needs {
		resource, subresource, _ := strings.Cut(n.resource, "/")
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Namespace: n.namespace, Verb: n.verb, Group: n.group, Resource: resource, Subresource: subresource, Name: n.name,
			},
		}}
		answer, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
		if err != nil {
			return fmt.Errorf("ask the API server for this service's rights: %w", err)
		}
		if !answer.Status.Allowed {
			errs = append(errs, fmt.Errorf("may not %s %s", n.verb, n.object()))
		}
	}
	return joinLine(errs)
}

// joinLine joins errors on one line, for a sentence.
func joinLine(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	joined := errs[0]
	for _, err := range errs[1:] {
		joined = fmt.Errorf("%w, %w", joined, err)
	}
	return joined
}
