package rules

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// kustomization is the part of an overlay that configures a service.
type kustomization struct {
	ConfigMapGenerator []struct {
		Name     string
		Literals []string
	} `json:"configMapGenerator"`
}

// Every overlay's configuration is one that the service accepts. A flag that
// does not exist is added, so that the service tells all that is wrong and ends.
func TestOverlays_are_accepted(t *testing.T) {
	t.Parallel()
	for _, dir := range services(t) {
		name := filepath.Base(dir)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			overlays, err := filepath.Glob(filepath.Join(root, "deploy", name, "overlays", "*", "kustomization.yaml"))
			if err != nil || len(overlays) == 0 {
				t.Fatalf("deploy/%s has no overlay (%v)", name, err)
			}
			program := filepath.Join(t.TempDir(), name)
			command(t, dir, "go", "build", "-o", program, ".")
			for _, overlay := range overlays {
				tryConfig(t, program, strings.TrimPrefix(overlay, root+"/"))
			}
		})
	}
}

func tryConfig(t *testing.T, program, overlay string) {
	t.Helper()
	var k kustomization
	if err := yaml.Unmarshal(read(t, overlay), &k); err != nil {
		t.Fatalf("%s: %v", overlay, err)
	}
	cmd := exec.CommandContext(t.Context(), program, "--no-such-flag")
	cmd.Env = []string{}
	for _, g := range k.ConfigMapGenerator {
		if g.Name == filepath.Base(program) {
			cmd.Env = append(cmd.Env, g.Literals...)
		}
	}
	if len(cmd.Env) == 0 {
		t.Errorf("%s has no configuration for %s", overlay, filepath.Base(program))
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 2 {
		t.Fatalf("%s: %v, want exit code 2\n%s", overlay, err, out)
	}
	if text := string(out); !strings.Contains(text, "the configuration has 1 error:") || !strings.Contains(text, "unknown flag --no-such-flag") {
		t.Errorf("%s is not accepted:\n%s", overlay, text)
	}
}
