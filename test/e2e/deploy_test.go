//go:build integration

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A real API server takes the manifests as they are, Pod Security included: it
// warns of pods that namespace resiliency would refuse. Nothing is started.
func TestDeploy_manifests_are_taken(t *testing.T) {
	t.Parallel()
	kubectl(t, "apply", "-f", "deploy/local/namespaces.yaml")
	wantTaken(t, kubectl(t, "apply", "--dry-run=server", "--validate=strict", "-k", "deploy/local"),
		"deployment.apps/event-streamer", "deployment.apps/event-streamer-witness", "deployment.apps/status-updater", "deployment.apps/dlq-handler",
		"cronjob.batch/recovery-job", "rolebinding.rbac.authorization.k8s.io/recovery-job",
		"rolebinding.rbac.authorization.k8s.io/event-streamer", "job.batch/provision")
	overlays, err := filepath.Glob(filepath.Join(root, "deploy", "*", "overlays", "gke"))
	if err != nil || len(overlays) != 5 {
		t.Fatalf("overlays for GKE %v, error %v", overlays, err)
	}
	file := filepath.Join(t.TempDir(), "gke.yaml")
	if err := os.WriteFile(file, []byte(strings.Join(ofKubernetes(t, overlays), "\n---\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	wantTaken(t, kubectl(t, "apply", "--dry-run=server", "--validate=strict", "-f", file),
		"deployment.apps/event-streamer", "deployment.apps/event-streamer-witness", "deployment.apps/status-updater", "deployment.apps/dlq-handler",
		"deployment.apps/phase-tracer", "cronjob.batch/recovery-job", "horizontalpodautoscaler.autoscaling/status-updater",
		"rolebinding.rbac.authorization.k8s.io/event-streamer-capsules",
		"clusterrolebinding.rbac.authorization.k8s.io/event-streamer-identity", "serviceaccount/status-updater")
}

// ofKubernetes are the objects of overlays, with what is applied beside them, less those
// of kinds that only GKE has: test/rules holds these to the fields of their kinds.
func ofKubernetes(t *testing.T, overlays []string) []string {
	t.Helper()
	theirs := regexp.MustCompile(`(?m)^apiVersion: (networking\.gke\.io|gateway\.networking\.k8s\.io|monitoring\.googleapis\.com)/`)
	var docs []string
	for _, dir := range append(overlays, filepath.Join(root, "deploy", "gke", "cluster"), filepath.Join(root, "deploy", "gke", "pages")) {
		path, err := filepath.Rel(root, dir)
		if err != nil {
			t.Fatal(err)
		}
		for doc := range strings.SplitSeq(kubectl(t, "kustomize", path), "\n---\n") {
			// The namespace is there: applied by deploy/local.
			if !theirs.MatchString(doc) && !strings.Contains(doc, "\nkind: Namespace\n") {
				docs = append(docs, doc)
			}
		}
	}
	return docs
}

// wantTaken fails unless each object was taken, without a warning.
func wantTaken(t *testing.T, out string, objects ...string) {
	t.Helper()
	if strings.Contains(out, "Warning") {
		t.Errorf("the API server warns:\n%s", out)
	}
	for _, want := range objects {
		if !strings.Contains(out, want+" created (server dry run)") {
			t.Errorf("%s was not taken:\n%s", want, out)
		}
	}
}

// kubectl runs the pinned kubectl from the root of the repository.
func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	program, err := filepath.Abs(filepath.Join(root, ".tools", "bin", "kubectl"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "KUBECONFIG="+shared.Kubeconfig())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}
