package rules

import (
	"bytes"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

// header is what every object begins with.
type header struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
	} `json:"metadata"`
}

// The kinds below are GKE's and the Gateway API's: no local API server has them. Each
// has the fields that we use, as their CRDs have them, and so a misspelt one fails.

// podMonitoring is monitoring.googleapis.com/v1, of github.com/GoogleCloudPlatform/prometheus-engine.
type podMonitoring struct {
	header `json:",inline"`
	Spec   struct {
		Selector struct {
			MatchLabels map[string]string `json:"matchLabels"`
		} `json:"selector"`
		Endpoints []struct {
			// Port is a string here: by number there would be no label container.
			Port     string `json:"port"`
			Path     string `json:"path"`
			Interval string `json:"interval"`
		} `json:"endpoints"`
		TargetLabels struct {
			Metadata []string `json:"metadata"`
		} `json:"targetLabels"`
	} `json:"spec"`
}

// gateway is gateway.networking.k8s.io/v1.
type gateway struct {
	header `json:",inline"`
	Spec   struct {
		GatewayClassName string `json:"gatewayClassName"`
		Addresses        []struct {
			Type  string `json:"type"`
			Value string `json:"value"`
		} `json:"addresses"`
		Listeners []struct {
			Name     string `json:"name"`
			Protocol string `json:"protocol"`
			Port     int32  `json:"port"`
			TLS      struct {
				Mode    string            `json:"mode"`
				Options map[string]string `json:"options"`
			} `json:"tls"`
		} `json:"listeners"`
	} `json:"spec"`
}

// httpRoute is gateway.networking.k8s.io/v1.
type httpRoute struct {
	header `json:",inline"`
	Spec   struct {
		ParentRefs []struct {
			Name string `json:"name"`
		} `json:"parentRefs"`
		Hostnames []string `json:"hostnames"`
		Rules     []struct {
			BackendRefs []struct {
				Name string `json:"name"`
				Port int32  `json:"port"`
			} `json:"backendRefs"`
		} `json:"rules"`
	} `json:"spec"`
}

// policyTarget is what a policy of networking.gke.io is about.
type policyTarget struct {
	Group *string `json:"group"`
	Kind  string  `json:"kind"`
	Name  string  `json:"name"`
}

// healthCheckPolicy is networking.gke.io/v1, of github.com/GoogleCloudPlatform/gke-gateway-api.
type healthCheckPolicy struct {
	header `json:",inline"`
	Spec   struct {
		Default struct {
			CheckIntervalSec int64 `json:"checkIntervalSec"`
			TimeoutSec       int64 `json:"timeoutSec"`
			Config           struct {
				Type            string `json:"type"`
				HTTPHealthCheck struct {
					PortSpecification string `json:"portSpecification"`
					Port              int32  `json:"port"`
					RequestPath       string `json:"requestPath"`
				} `json:"httpHealthCheck"`
			} `json:"config"`
		} `json:"default"`
		TargetRef policyTarget `json:"targetRef"`
	} `json:"spec"`
}

// backendPolicy is GCPBackendPolicy of networking.gke.io/v1, from there too.
type backendPolicy struct {
	header `json:",inline"`
	Spec   struct {
		Default struct {
			TimeoutSec int64 `json:"timeoutSec"`
			IAP        struct {
				Enabled            bool   `json:"enabled"`
				ClientID           string `json:"clientID"`
				OAuth2ClientSecret struct {
					Name string `json:"name"`
				} `json:"oauth2ClientSecret"`
			} `json:"iap"`
		} `json:"default"`
		TargetRef policyTarget `json:"targetRef"`
	} `json:"spec"`
}

// ofGKE tells whether a document is of one of those kinds.
func ofGKE(t *testing.T, doc []byte) bool {
	t.Helper()
	var h header
	if err := yaml.Unmarshal(doc, &h); err != nil {
		t.Fatal(err)
	}
	return slices.Contains([]string{
		"monitoring.googleapis.com/v1 PodMonitoring", "gateway.networking.k8s.io/v1 Gateway", "gateway.networking.k8s.io/v1 HTTPRoute",
		"networking.gke.io/v1 HealthCheckPolicy", "networking.gke.io/v1 GCPBackendPolicy",
	}, h.APIVersion+" "+h.Kind)
}

// gkeObjects decodes all objects of a kind, strictly.
func gkeObjects[T any](t *testing.T, kind string) []T {
	t.Helper()
	var all []T
	for _, name := range files(t) {
		if !strings.HasPrefix(name, "deploy/") || filepath.Ext(name) != ".yaml" || filepath.Base(name) == "kustomization.yaml" {
			continue
		}
		for doc := range bytes.SplitSeq(read(t, name), []byte("\n---\n")) {
			if !ofGKE(t, doc) || !regexp.MustCompile(`(?m)^kind: `+kind+`$`).Match(doc) {
				continue
			}
			var one T
			if err := yaml.UnmarshalStrict(doc, &one); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			all = append(all, one)
		}
	}
	if len(all) == 0 {
		t.Fatalf("deploy/ has no %s", kind)
	}
	return all
}

// objects are the manifests of a type, by name.
func objects[T interface{ GetName() string }](t *testing.T) map[string]T {
	t.Helper()
	all := map[string]T{}
	for _, m := range manifests(t) {
		if o, ok := m.object.(T); ok {
			all[o.GetName()] = o
		}
	}
	return all
}

// portOf is the number of a port of a Deployment's first container; 0 if it has none.
func portOf(d *appsv1.Deployment, name string) int32 {
	for _, p := range d.Spec.Template.Spec.Containers[0].Ports {
		if p.Name == name {
			return p.ContainerPort
		}
	}
	return 0
}

// All alerts but Pub/Sub's live on what is collected here, with these labels.
func TestGKE_metrics_are_collected(t *testing.T) {
	t.Parallel()
	monitoring := gkeObjects[podMonitoring](t, "PodMonitoring")[0]
	if got := monitoring.Spec.TargetLabels.Metadata; !slices.Contains(got, "pod") || !slices.Contains(got, "container") {
		t.Errorf("the labels pod and container are not there, only %v", got)
	}
	if len(monitoring.Spec.Endpoints) != 1 || monitoring.Spec.Endpoints[0].Path != "/metrics" {
		t.Fatalf("endpoints %+v", monitoring.Spec.Endpoints)
	}
	collected := 0
	for name, d := range objects[*appsv1.Deployment](t) {
		base := filepath.Join("deploy", strings.TrimSuffix(name, "-witness"), "base/kustomization.yaml")
		if !exists(base) {
			continue // one of deploy/local
		}
		collected++
		labels := commonLabels(t, base)
		for key, value := range monitoring.Spec.Selector.MatchLabels {
			if labels[key] != value {
				t.Errorf("PodMonitoring asks for %s=%s, pods of %s have %q", key, value, name, labels[key])
			}
		}
		if portOf(d, monitoring.Spec.Endpoints[0].Port) == 0 {
			t.Errorf("PodMonitoring asks port %q, %s has none of that name", monitoring.Spec.Endpoints[0].Port, name)
		}
	}
	if want := len(services(t)); collected != want { // recovery-job is none, the witness is one more
		t.Errorf("%d Deployments are collected, want %d", collected, want)
	}
}

// commonLabels are those that a kustomization gives to all that it makes.
func commonLabels(t *testing.T, name string) map[string]string {
	t.Helper()
	var k struct {
		Labels []struct{ Pairs map[string]string }
	}
	if err := yaml.Unmarshal(read(t, name), &k); err != nil || len(k.Labels) != 1 {
		t.Fatalf("%s: %d sets of labels (%v)", name, len(k.Labels), err)
	}
	return k.Labels[0].Pairs
}

// Pages without IAP in front would be open, and with the default health check, which
// has no assertion of IAP's, they would never be reached.
func TestGKE_pages_are_reached_through_IAP(t *testing.T) {
	t.Parallel()
	entry := gkeObjects[gateway](t, "Gateway")[0]
	backends, deployments := objects[*corev1.Service](t), objects[*appsv1.Deployment](t)
	checks, policies := map[string]healthCheckPolicy{}, map[string]backendPolicy{}
	for _, p := range gkeObjects[healthCheckPolicy](t, "HealthCheckPolicy") {
		checks[p.Spec.TargetRef.Name] = p
	}
	for _, p := range gkeObjects[backendPolicy](t, "GCPBackendPolicy") {
		policies[p.Spec.TargetRef.Name] = p
	}
	for _, route := range gkeObjects[httpRoute](t, "HTTPRoute") {
		name := route.Spec.Rules[0].BackendRefs[0].Name
		if route.Spec.ParentRefs[0].Name != entry.Metadata.Name || route.Metadata.Namespace != entry.Metadata.Namespace {
			t.Errorf("route %s is not of Gateway %s", name, entry.Metadata.Name)
		}
		service, ok := backends[name]
		if !ok || service.Spec.Ports[0].Port != route.Spec.Rules[0].BackendRefs[0].Port || len(route.Spec.Hostnames) == 0 {
			t.Errorf("route %s leads to no Service, or has no host", name)
		}
		check, container := checks[name], deployments[name].Spec.Template.Spec.Containers[0]
		if got := check.Spec.Default.Config.HTTPHealthCheck; got.Port != portOf(deployments[name], "admin") ||
			got.PortSpecification != "USE_FIXED_PORT" || got.RequestPath != container.ReadinessProbe.HTTPGet.Path {
			t.Errorf("%s: the load balancer asks %+v, Kubernetes for readiness %+v", name, got, container.ReadinessProbe.HTTPGet)
		}
		if iap := policies[name].Spec.Default.IAP; !iap.Enabled || iap.ClientID == "" || iap.OAuth2ClientSecret.Name == "" {
			t.Errorf("%s is not behind IAP: %+v", name, iap)
		}
		for _, target := range []policyTarget{check.Spec.TargetRef, policies[name].Spec.TargetRef} {
			if target.Kind != "Service" || target.Group == nil || *target.Group != "" {
				t.Errorf("%s: a policy is of %+v, want the Service", name, target)
			}
		}
	}
	for _, l := range entry.Spec.Listeners {
		if l.Protocol != "HTTPS" || l.TLS.Mode != "Terminate" || len(l.TLS.Options) == 0 {
			t.Errorf("listener %s is open: %+v", l.Name, l)
		}
	}
}

// An autoscaler of a name that is none scales nothing, and a Deployment that says how
// many it has is set back by the next apply.
func TestGKE_autoscalers_scale(t *testing.T) {
	t.Parallel()
	deployments := objects[*appsv1.Deployment](t)
	scalers := objects[*autoscalingv2.HorizontalPodAutoscaler](t)
	if len(scalers) == 0 {
		t.Fatal("there is none")
	}
	_, subscribes := rights(t)
	for name, h := range scalers {
		target := h.Spec.ScaleTargetRef
		if deployments[target.Name] == nil || target.Kind != "Deployment" || target.APIVersion != "apps/v1" {
			t.Errorf("autoscaler %s is of %+v, which is not there", name, target)
		}
		var asked []string
		for _, m := range h.Spec.Metrics {
			if m.External == nil || m.External.Metric.Name != "pubsub.googleapis.com|subscription|num_undelivered_messages" {
				t.Fatalf("autoscaler %s does not go by the backlog: %+v", name, m)
			}
			asked = append(asked, m.External.Metric.Selector.MatchLabels["resource.labels.subscription_id"])
		}
		slices.Sort(asked)
		want := slices.Sorted(slices.Values(subscribes[target.Name]))
		if !slices.Equal(asked, want) {
			t.Errorf("autoscaler %s goes by %v, %s reads %v", name, asked, target.Name, want)
		}
		overlay := string(read(t, "deploy/"+name+"/overlays/gke/kustomization.yaml"))
		if !strings.Contains(overlay, "- op: remove\n        path: /spec/replicas") {
			t.Errorf("the overlay of %s says how many there are, and so does its autoscaler", name)
		}
	}
}

// Pods that are not ready serve nobody, but by default a budget keeps them where they
// are, and the drain of their node never ends.
func TestManifests_let_unhealthy_pods_go(t *testing.T) {
	t.Parallel()
	for name, b := range objects[*policyv1.PodDisruptionBudget](t) {
		if p := b.Spec.UnhealthyPodEvictionPolicy; p == nil || *p != policyv1.AlwaysAllow {
			t.Errorf("budget %s keeps pods that are not ready", name)
		}
	}
}
