package rules

import (
	"bytes"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The bounds of a file, in lines. What does not fit is two things.
const (
	maxMain = 80
	maxFile = 400
)

func TestFiles_are_short(t *testing.T) {
	t.Parallel()
	for _, name := range goFiles(t) {
		limit := maxFile
		if filepath.Base(name) == "main.go" {
			limit = maxMain
		}
		if lines := bytes.Count(read(t, name), []byte("\n")); lines > limit {
			t.Errorf("%s has %d lines, at most %d are allowed: split it", name, lines, limit)
		}
	}
}

// Every package says what it is for, in one of its files.
func TestPackages_have_a_doc_comment(t *testing.T) {
	t.Parallel()
	documented := map[string]bool{}
	for _, name := range goFiles(t) {
		dir := filepath.Dir(name)
		file, err := parser.ParseFile(token.NewFileSet(), name, read(t, name), parser.ParseComments|parser.PackageClauseOnly)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		// A folder that holds nothing but tests still is a package to a reader.
		doc := file.Doc != nil && len(strings.Fields(file.Doc.Text())) >= 5
		documented[dir] = documented[dir] || doc
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("package %s has no doc comment: say what it is for and what it never does", dir)
		}
	}
}

// A service is deployable by itself and explains itself.
func TestServices_are_complete(t *testing.T) {
	t.Parallel()
	for _, dir := range services(t) {
		for _, name := range []string{"main.go", "Dockerfile", "README.md", "CHANGELOG.md"} {
			if !exists(filepath.Join(dir, name)) {
				t.Errorf("%s has no %s", dir, name)
			}
		}
	}
	for _, name := range goFiles(t) {
		parts := strings.Split(name, "/")
		if parts[0] != "services" || len(parts) == 3 && (parts[2] == "main.go" || parts[2] == "main_test.go") {
			continue
		}
		if parts[2] != "internal" {
			t.Errorf("%s: all of a service but main.go belongs under internal", name)
		}
	}
}

// Decisions are numbered, so that one can refer to another.
func TestDecisions_are_numbered(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^\d{4}-[a-z0-9-]+\.md$`)
	seen := map[string]string{}
	for _, name := range files(t) {
		base := filepath.Base(name)
		if filepath.Dir(name) != "docs/adr" || base == "README.md" {
			continue
		}
		if !form.MatchString(base) {
			t.Errorf("%s: want NNNN-title.md", name)
			continue
		}
		if other, taken := seen[base[:4]]; taken {
			t.Errorf("%s has the number of %s", name, other)
		}
		seen[base[:4]] = base
	}
}

// A test that sleeps hopes. One in a testing/synctest bubble only moves its
// clock, and where the time itself is the point (an outage of so many seconds)
// a comment on the same line says so.
func TestTests_do_not_sleep(t *testing.T) {
	t.Parallel()
	sleep := regexp.MustCompile(`\btime\.Sleep\([^/]*$`)
	for _, name := range goFiles(t) {
		text := string(read(t, name))
		if !strings.HasSuffix(name, "_test.go") || strings.Contains(text, `"testing/synctest"`) {
			continue
		}
		line := 0
		for text := range strings.Lines(text) {
			line++
			if sleep.MatchString(strings.TrimSpace(text)) {
				t.Errorf("%s:%d sleeps: wait for the condition, use testing/synctest, or say in a comment there why not", name, line)
			}
		}
	}
}

// A script that goes on after an error does damage.
func TestScripts_stop_at_errors(t *testing.T) {
	t.Parallel()
	for _, name := range files(t) {
		text := read(t, name)
		if bytes.HasPrefix(text, []byte("#!")) && bytes.Contains(bytes.SplitN(text, []byte("\n"), 2)[0], []byte("sh")) &&
			!bytes.Contains(text, []byte("\nset -euo pipefail\n")) {
			t.Errorf("%s does not set -euo pipefail", name)
		}
	}
}

// What is true of one machine only, or of no machine of a reader's, does not
// belong in the repository. The words are put together here so that this file
// does not hold them.
func TestFiles_name_no_machine(t *testing.T) {
	t.Parallel()
	hosts := []string{
		"proxy.golang" + ".org", "sum.golang" + ".org", "deb.debian" + ".org",
		"registry.npmjs" + ".org", "pypi" + ".org", "GOPROXY" + "=",
	}
	folders := regexp.MustCompile(`(^|[^A-Za-z0-9_.}-])/(wo` + `rk|ro` + `ot|ho` + `me/[a-z]+|Use` + `rs/[A-Za-z]+)/`)
	for _, name := range files(t) {
		text := read(t, name)
		if bytes.IndexByte(text, 0) >= 0 {
			continue // binary
		}
		for i, line := range bytes.Split(text, []byte("\n")) {
			if m := folders.Find(line); m != nil {
				t.Errorf("%s:%d: a path of one machine: %s", name, i+1, m)
			}
			for _, host := range hosts {
				if bytes.Contains(line, []byte(host)) {
					t.Errorf("%s:%d: names %s", name, i+1, host)
				}
			}
		}
	}
}
