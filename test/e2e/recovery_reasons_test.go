//go:build integration

package e2e

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"testing"
)

// The matrix of what a stuck job may meet: its stage, what the cluster answers,
// what the bucket answers, Pub/Sub up or down. Every reason that there is for a
// verdict occurs, but those that nothing outside the process can bring about.
func TestRecoveryMatrix(t *testing.T) { //nolint:tparallel // "parts" ends when its parts, which are parallel, have
	t.Parallel()
	seen := &outcomes{seen: map[string]bool{}, cases: map[string]bool{}}
	parts := map[string]func(*testing.T, *outcomes){
		"up": matrixUp, "pubsub_down": matrixDown, "api_errors": matrixFaults, "bad_records": matrixBad, "mass_failure": matrixMass,
	}
	t.Run("parts", func(t *testing.T) {
		for name, part := range parts {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				part(t, seen)
				seen.mu.Lock()
				defer seen.mu.Unlock()
				seen.parts++
			})
		}
	})
	if seen.parts < len(parts) {
		return // some failed, or were not asked for
	}
	t.Attr("cases", strconv.Itoa(len(seen.cases)))
	if len(seen.cases) < 24 {
		t.Errorf("the matrix has %d cases", len(seen.cases))
	}
	impossible := map[string]string{
		"UNANSWERED": "a probe of the service always answers, if only with an error",
		"BAD_RECORD": "no id that is not one can be read from the store",
	}
	for _, reason := range judgesReasons(t) {
		if why := impossible[reason]; seen.seen[reason] == (why != "") {
			t.Errorf("reason %s: seen %v; it cannot be since %q", reason, seen.seen[reason], why)
		}
	}
}

// judgesReasons are all that the judge knows, from its source: a reason that is
// added has to get a case here.
func judgesReasons(t *testing.T) []string {
	t.Helper()
	path := filepath.Join(root, "services", recoverer, "internal", "judge", "reason.go")
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		name, ok := spec.Type.(*ast.Ident)
		if !ok || name.Name != "Reason" {
			t.Fatalf("constants of %s have type %v", path, spec.Type)
		}
		for _, value := range spec.Values {
			text, err := strconv.Unquote(value.(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, text)
		}
		return true
	})
	if len(all) < 40 {
		t.Fatalf("%s names %d reasons", path, len(all))
	}
	return all
}
