package rules

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// dockerfiles are the files that images are built from.
func dockerfiles(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, name := range files(t) {
		if strings.HasSuffix(name, "Dockerfile") {
			names = append(names, name)
		}
	}
	if len(names) <= len(services(t)) {
		t.Fatalf("only %d Dockerfiles found", len(names))
	}
	return names
}

// Dependabot looks up no ARG: a base image behind one is never raised. What it raises
// must not run ahead of the Go that the tests run with, which is that of go.work.
func TestImages_have_base_images_that_are_raised(t *testing.T) {
	t.Parallel()
	from := regexp.MustCompile(`(?m)^FROM (?:--platform=\S+ )?(\S+)`)
	language := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(read(t, "go.work"))
	if language == nil {
		t.Fatal("go.work does not say which Go")
	}
	for _, name := range dockerfiles(t) {
		stages := from.FindAllSubmatch(read(t, name), -1)
		if len(stages) == 0 {
			t.Errorf("%s is built from nothing", name)
		}
		for _, stage := range stages {
			image := string(stage[1])
			if strings.Contains(image, "$") {
				t.Errorf("%s is built from %s, which dependabot does not understand", name, image)
			}
			if tag, ok := strings.CutPrefix(image, "golang:"); ok && tag != string(language[1]) {
				t.Errorf("%s builds with Go %s, go.work has %s", name, tag, language[1])
			}
		}
	}
}

// An image that was built on another kind of machine than the nodes are does not start
// there. Go cross-compiles, so nothing is emulated for it.
func TestImages_are_built_for_the_nodes(t *testing.T) {
	t.Parallel()
	for _, name := range dockerfiles(t) {
		text := string(read(t, name))
		for _, want := range []string{
			"\nFROM --platform=${BUILDPLATFORM:-linux/amd64} golang:", "\nARG TARGETARCH\n", "GOARCH=$TARGETARCH go build ",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("%s does not cross-compile: %q is missing", name, strings.TrimSpace(want))
			}
		}
	}
	service := filepath.Base(services(t)[0])
	for _, c := range []struct{ given, want string }{
		{"", "--platform=linux/amd64 "},
		{"PLATFORM=linux/arm64", "--platform=linux/arm64 "},
	} {
		cmd := exec.CommandContext(t.Context(), "make", "-n", "image", "SERVICE="+service, "VERSION=v1.0.0")
		if cmd.Dir = root; c.given != "" {
			cmd.Args = append(cmd.Args, c.given)
		}
		// Not what a make around this test was told.
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
		}
		if !strings.Contains(string(out), "docker build "+c.want) {
			t.Errorf("%v does not build with %s:\n%s", cmd.Args, c.want, out)
		}
	}
}
