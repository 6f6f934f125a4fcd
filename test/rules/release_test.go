package rules

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// Services are released apart: the newest tag of another one says nothing about this
// one's version.
func TestVersion_is_the_services_own(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(name string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir = dir
		// Not what a make or a git around this test was told.
		cmd.Env = []string{
			"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GIT_CONFIG_NOSYSTEM=1",
			"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com",
		}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	version := func(service string, more ...string) string {
		t.Helper()
		return run("make", append([]string{"-s", "version", "SERVICE=" + service}, more...)...)
	}
	write("Makefile", string(read(t, "Makefile")))
	write("services/a/main.go", "package main\n")
	write("services/b/main.go", "package main\n")
	run("git", "init", "--quiet")
	run("git", "add", ".")
	run("git", "commit", "--quiet", "--message=first")
	if got := version("a"); !regexp.MustCompile(`^[0-9a-f]{7,}$`).MatchString(got) {
		t.Errorf("without a tag a is %q, want the commit", got)
	}
	run("git", "tag", "services/a/v1.0.0")
	write("services/b/new.go", "package main\n")
	run("git", "add", ".")
	run("git", "commit", "--quiet", "--message=second")
	run("git", "tag", "services/b/v2.0.0")
	if got := version("a"); !regexp.MustCompile(`^v1\.0\.0-1-g[0-9a-f]{7,}$`).MatchString(got) {
		t.Errorf("one commit after its tag a is %q", got)
	}
	if got := version("b"); got != "v2.0.0" {
		t.Errorf("at its tag b is %q", got)
	}
	if got := version("b", "VERSION=v3.0.0"); got != "v3.0.0" {
		t.Errorf("with VERSION=v3.0.0 b is %q", got)
	}
}

// The tags that the CHANGELOGs promise are those that make a release.
func TestRelease_begins_with_the_tags_of_the_changelogs(t *testing.T) {
	t.Parallel()
	if !strings.Contains(string(read(t, ".github/workflows/release.yml")), "\non:\n  push:\n    tags: [\"services/*/v*\"]\n") {
		t.Error("a release begins with other tags than services/<name>/vX.Y.Z")
	}
	for _, dir := range services(t) {
		if text := string(read(t, dir+"/CHANGELOG.md")); !strings.Contains(text, "`"+dir+"/vX.Y.Z`") || !strings.Contains(text, "\n## ") {
			t.Errorf("%s/CHANGELOG.md does not say its tags, or has no release", dir)
		}
	}
}

// Base images that nobody raises rot.
func TestDependabot_knows_every_Dockerfile(t *testing.T) {
	t.Parallel()
	var config struct {
		Updates []struct {
			Ecosystem   string `json:"package-ecosystem"`
			Directories []string
		}
	}
	if err := yaml.Unmarshal(read(t, ".github/dependabot.yml"), &config); err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, name := range files(t) {
		if !strings.HasSuffix(name, "Dockerfile") {
			continue
		}
		found++
		known := false
		for _, u := range config.Updates {
			for _, pattern := range u.Directories {
				match, err := filepath.Match(strings.TrimPrefix(pattern, "/"), filepath.Dir(name))
				if err != nil {
					t.Fatal(err)
				}
				known = known || match && u.Ecosystem == "docker"
			}
		}
		if !known {
			t.Errorf(".github/dependabot.yml does not look at %s", name)
		}
	}
	if found == 0 {
		t.Fatal("no Dockerfile found")
	}
}

// Who upgrades finds the place of each service in the order, readers before publishers.
func TestUpgrade_has_a_place_for_every_service(t *testing.T) {
	t.Parallel()
	text := string(read(t, "docs/upgrade.md"))
	place := map[string]int{}
	for _, dir := range services(t) {
		name := filepath.Base(dir)
		if place[name] = strings.Index(text, "| "+name); place[name] < 0 {
			t.Errorf("docs/upgrade.md has no place for %s", name)
		}
	}
	if !(place["phase-tracer"] < place["status-updater"] && place["status-updater"] < place["event-streamer"]) {
		t.Errorf("docs/upgrade.md has publishers before their readers: %v", place)
	}
	for _, name := range []string{"deploy/README.md", "proto/README.md"} {
		page := string(read(t, name))
		if strings.Contains(page, "in any order") || !strings.Contains(page, "docs/upgrade.md") {
			t.Errorf("%s says that the order does not matter, or not where it is told", name)
		}
	}
}
