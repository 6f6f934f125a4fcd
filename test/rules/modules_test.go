package rules

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// goMod is what `go mod edit -json` tells of a go.mod.
type goMod struct {
	Module    struct{ Path string }
	Go        string
	Toolchain string
	Require   []struct {
		Path, Version string
		Indirect      bool
	}
	Replace []struct {
		Old, New struct{ Path, Version string }
	}
}

func readMod(t *testing.T, dir string) goMod {
	t.Helper()
	return decodeAll[goMod](t, command(t, dir, "go", "mod", "edit", "-json"))[0]
}

// A module that is missing from go.work is invisible to editors, and one that
// is listed but gone breaks them.
func TestWorkspace_lists_every_module(t *testing.T) {
	t.Parallel()
	var listed []string
	version := ""
	for line := range strings.Lines(string(read(t, "go.work"))) {
		line = strings.TrimSpace(line)
		if dir, ok := strings.CutPrefix(line, "./"); ok {
			listed = append(listed, dir)
		}
		if v, ok := strings.CutPrefix(line, "go "); ok {
			version = v
		}
	}
	slices.Sort(listed)
	found := modules(t)
	slices.Sort(found)
	if diff := cmp.Diff(found, listed); diff != "" {
		t.Errorf("go.work (-modules found +modules listed):\n%s", diff)
	}
	for _, dir := range found {
		mod := readMod(t, dir)
		if mod.Go != version || mod.Toolchain != "" {
			t.Errorf("%s/go.mod has go %s and toolchain %q, go.work has go %s and none", dir, mod.Go, mod.Toolchain, version)
		}
		if want := modulePath + dir; mod.Module.Path != want {
			t.Errorf("%s/go.mod declares %s, want %s", dir, mod.Module.Path, want)
		}
	}
}

// Siblings are taken from the tree, by relative paths, and nothing else is replaced.
func TestModules_replace_only_siblings(t *testing.T) {
	t.Parallel()
	for _, dir := range modules(t) {
		replaced := map[string]bool{}
		for _, r := range readMod(t, dir).Replace {
			sibling, ok := strings.CutPrefix(r.Old.Path, modulePath)
			rel, err := filepath.Rel(dir, sibling)
			if !ok || err != nil || r.New.Path != rel {
				t.Errorf("%s/go.mod replaces %s by %s, want a sibling by its relative path", dir, r.Old.Path, r.New.Path)
			}
			replaced[r.Old.Path] = true
		}
		for _, r := range readMod(t, dir).Require {
			if strings.HasPrefix(r.Path, modulePath) && !replaced[r.Path] {
				t.Errorf("%s/go.mod requires %s without a replace: GOWORK=off builds would try to download it", dir, r.Path)
			}
		}
	}
}

// A service that ships another version of a library than pkg was tested with
// is a bug that no test of pkg can find.
func TestModules_require_equal_versions(t *testing.T) {
	t.Parallel()
	type use struct{ dir, version string }
	first := map[string]use{}
	for _, dir := range modules(t) {
		for _, r := range readMod(t, dir).Require {
			if r.Indirect {
				continue
			}
			seen, ok := first[r.Path]
			if !ok {
				first[r.Path] = use{dir, r.Version}
				continue
			}
			if seen.version != r.Version {
				t.Errorf("%s requires %s %s, %s requires %s", dir, r.Path, r.Version, seen.dir, seen.version)
			}
		}
	}
}

// The contract is taken by everyone, so it brings nothing along but protobuf.
func TestContract_is_a_leaf(t *testing.T) {
	t.Parallel()
	for _, r := range readMod(t, "proto").Require {
		if r.Path != "google.golang.org/protobuf" && r.Path != "github.com/google/go-cmp" {
			t.Errorf("proto requires %s", r.Path)
		}
	}
}
