package rules

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// modulePath is the prefix of every module's path.
const modulePath = "github.com/envision/resiliency/"

// root is the repository, seen from this package.
const root = "../.."

// command runs a program in a folder of the repository and returns its output.
func command(t *testing.T, dir, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = filepath.Join(root, dir)
	cmd.Env = append(os.Environ(), "GOWORK=off")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s in %s: %v\n%s", name, strings.Join(args, " "), dir, err, stderr.String())
	}
	return out
}

// files returns every file that is in git or would be added to it.
func files(t *testing.T) []string {
	t.Helper()
	out := command(t, ".", "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	var names []string
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		// A file that was deleted but not yet committed is still in git's list.
		if info, err := os.Lstat(filepath.Join(root, name)); err == nil && info.Mode().IsRegular() {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		t.Fatal("git lists no file")
	}
	return names
}

// goFiles returns the Go files that people write.
func goFiles(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, name := range files(t) {
		if strings.HasSuffix(name, ".go") && !strings.HasPrefix(name, "proto/gen/") {
			names = append(names, name)
		}
	}
	return names
}

// modules returns the folders of all modules but those of build tools.
func modules(t *testing.T) []string {
	t.Helper()
	var dirs []string
	for _, name := range files(t) {
		if filepath.Base(name) == "go.mod" && !strings.HasPrefix(name, "tools/") {
			dirs = append(dirs, filepath.Dir(name))
		}
	}
	return dirs
}

// services returns the folders of all services.
func services(t *testing.T) []string {
	t.Helper()
	var dirs []string
	for _, dir := range modules(t) {
		if strings.HasPrefix(dir, "services/") {
			dirs = append(dirs, dir)
		}
	}
	if len(dirs) == 0 {
		t.Fatal("there is no service")
	}
	return dirs
}

// read returns a file of the repository.
func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// exists tells whether the repository has a file.
func exists(name string) bool {
	_, err := os.Stat(filepath.Join(root, name))
	return err == nil
}

// decodeAll decodes a stream of JSON values.
func decodeAll[T any](t *testing.T, text []byte) []T {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(text))
	var all []T
	for {
		var one T
		err := dec.Decode(&one)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
}
