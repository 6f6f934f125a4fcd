package rules

import (
	"bytes"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"
)

// manifest is one object of a file under deploy/.
type manifest struct {
	file   string
	object runtime.Object
}

// manifests decodes every manifest of Kubernetes' own kinds, strictly: an unknown or
// misspelt field fails.
func manifests(t *testing.T) []manifest {
	t.Helper()
	decoder := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	var all []manifest
	for _, name := range files(t) {
		if !strings.HasPrefix(name, "deploy/") || filepath.Ext(name) != ".yaml" || filepath.Base(name) == "kustomization.yaml" {
			continue
		}
		for doc := range bytes.SplitSeq(read(t, name), []byte("\n---\n")) {
			if ofGKE(t, doc) {
				continue // see gke_test.go
			}
			object, _, err := decoder.Decode(doc, nil, nil)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			all = append(all, manifest{name, object})
		}
	}
	if len(all) == 0 {
		t.Fatal("deploy/ has no manifest")
	}
	return all
}

// podSpec returns the pods that an object makes, or nil.
func podSpec(object runtime.Object) *corev1.PodSpec {
	switch o := object.(type) {
	case *appsv1.Deployment:
		return &o.Spec.Template.Spec
	case *batchv1.Job:
		return &o.Spec.Template.Spec
	case *batchv1.CronJob:
		return &o.Spec.JobTemplate.Spec.Template.Spec
	default:
		return nil
	}
}

// What Pod Security calls restricted, and no token where none is needed.
func TestManifests_make_restricted_pods(t *testing.T) {
	t.Parallel()
	for _, m := range manifests(t) {
		spec := podSpec(m.object)
		if spec == nil {
			continue
		}
		s := spec.SecurityContext
		if s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || s.SeccompProfile == nil ||
			s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
			t.Errorf("%s: pods must run as non-root with the runtime's seccomp profile", m.file)
		}
		if spec.HostNetwork || spec.HostPID || spec.HostIPC {
			t.Errorf("%s: pods share something of the host", m.file)
		}
		if spec.AutomountServiceAccountToken == nil {
			t.Errorf("%s: say whether pods get a token of the API server", m.file)
		}
		for _, v := range spec.Volumes {
			if v.HostPath != nil {
				t.Errorf("%s: volume %s is a path of the host", m.file, v.Name)
			}
		}
		for _, c := range spec.Containers {
			checkContainer(t, m.file, c)
		}
	}
}

func checkContainer(t *testing.T, file string, c corev1.Container) {
	t.Helper()
	s := c.SecurityContext
	if s == nil || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation ||
		s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem ||
		s.Capabilities == nil || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) || len(s.Capabilities.Add) > 0 {
		t.Errorf("%s: container %s can do more than it needs", file, c.Name)
	}
	if c.Resources.Requests.Cpu().IsZero() || c.Resources.Requests.Memory().IsZero() || c.Resources.Limits.Memory().IsZero() {
		t.Errorf("%s: container %s needs requests for CPU and memory and a limit for memory", file, c.Name)
	}
}

// A service that cannot be probed is restarted too late or too soon, and one
// that gets less time than its shutdown budget is cut off in its work.
func TestManifests_of_services_are_probed_and_may_finish(t *testing.T) {
	t.Parallel()
	const budget = 20 // seconds, the default of SHUTDOWN_BUDGET
	seen := map[string]bool{}
	for _, m := range manifests(t) {
		service := "services/" + strings.Split(m.file, "/")[1]
		if !exists(service) {
			continue
		}
		if c, ok := m.object.(*batchv1.CronJob); ok {
			seen[service] = true
			checkCronJob(t, m.file, &c.Spec)
		}
		d, ok := m.object.(*appsv1.Deployment)
		if !ok {
			continue
		}
		seen[service] = true
		spec := d.Spec.Template.Spec
		if grace := spec.TerminationGracePeriodSeconds; grace == nil || *grace <= budget {
			t.Errorf("%s: pods get less time to end than the shutdown budget of %d s", m.file, budget)
		}
		for _, c := range spec.Containers {
			for name, probe := range map[string]*corev1.Probe{"/livez": c.LivenessProbe, "/readyz": c.ReadinessProbe} {
				if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != name {
					t.Errorf("%s: container %s is not probed at %s", m.file, c.Name, name)
				}
			}
		}
	}
	for _, dir := range services(t) {
		if !seen[dir] {
			t.Errorf("%s has no Deployment or CronJob under deploy/", dir)
		}
	}
}

// checkCronJob: two runs at once, a run without an end, or one that is started
// again by Kubernetes beside its own continuation would all judge jobs twice.
func checkCronJob(t *testing.T, file string, c *batchv1.CronJobSpec) {
	t.Helper()
	job := c.JobTemplate.Spec
	if c.ConcurrencyPolicy != batchv1.ForbidConcurrent || c.StartingDeadlineSeconds == nil ||
		job.ActiveDeadlineSeconds == nil || job.BackoffLimit == nil || *job.BackoffLimit > 0 {
		t.Errorf("%s: a CronJob needs concurrencyPolicy Forbid, startingDeadlineSeconds, activeDeadlineSeconds and backoffLimit 0", file)
	}
}

func TestManifests_grant_no_wildcards(t *testing.T) {
	t.Parallel()
	roles := objects[*rbacv1.ClusterRole](t)
	for _, m := range manifests(t) {
		var rules []rbacv1.PolicyRule
		switch o := m.object.(type) {
		case *rbacv1.ClusterRole:
			rules = o.Rules
		case *rbacv1.Role:
			rules = o.Rules
		case *rbacv1.ClusterRoleBinding:
			if role := roles[o.RoleRef.Name]; role == nil || !readsByName(role.Rules) {
				t.Errorf("%s: binds more in the whole cluster than to get what it names", m.file)
			}
		}
		for _, r := range rules {
			if slices.Contains(slices.Concat(r.APIGroups, r.Resources, r.Verbs), "*") {
				t.Errorf("%s: grants *", m.file)
			}
		}
	}
}

// readsByName tells whether rules allow no more than to get single objects.
func readsByName(rules []rbacv1.PolicyRule) bool {
	for _, r := range rules {
		if len(r.ResourceNames) == 0 || !slices.Equal(r.Verbs, []string{"get"}) {
			return false
		}
	}
	return len(rules) > 0
}

// Autopilot refuses whatever is made in the namespaces that Google manages.
func TestManifests_leave_namespaces_of_others_alone(t *testing.T) {
	t.Parallel()
	managed, looked := regexp.MustCompile(`\bnamespace:\s*"?(?:kube|gke|gmp)-`), 0
	for _, name := range files(t) {
		if !strings.HasPrefix(name, "deploy/") || filepath.Ext(name) != ".yaml" {
			continue
		}
		looked++
		if managed.Match(read(t, name)) {
			t.Errorf("%s has something in a namespace of the cluster's own", name)
		}
	}
	if looked == 0 {
		t.Fatal("deploy/ has no manifest")
	}
}
