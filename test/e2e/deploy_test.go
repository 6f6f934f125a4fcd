//go:build integration

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A real API server takes the manifests as they are, Pod Security included: it
// warns of pods that namespace resiliency would refuse. Nothing is started.
func TestDeploy_manifests_are_taken(t *testing.T) {
	t.Parallel()
	kubectl(t, "apply", "-f", "deploy/local/namespaces.yaml")
	out := kubectl(t, "apply", "--dry-run=server", "--validate=strict", "-k", "deploy/local")
	if strings.Contains(out, "Warning") {
		t.Errorf("the API server warns:\n%s", out)
	}
	for _, want := range []string{
		"deployment.apps/event-streamer", "deployment.apps/event-streamer-witness", "deployment.apps/status-updater", "deployment.apps/dlq-handler",
		"cronjob.batch/recovery-job", "rolebinding.rbac.authorization.k8s.io/recovery-job",
		"rolebinding.rbac.authorization.k8s.io/event-streamer", "job.batch/provision",
	} {
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
