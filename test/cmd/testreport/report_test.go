package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// green is a run of two tests, one with a subtest, and one that was skipped.
const green = `{"Action":"start","Package":"p"}
{"Action":"output","Package":"p","Output":"API server version: v1.36.3\n"}
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Test":"TestA/sub"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"attr","Package":"p","Test":"TestB","Key":"events_kept","Value":"58 of 60"}
{"Action":"pass","Package":"p","Test":"TestB"}
{"Action":"skip","Package":"p","Test":"TestC"}
{"Action":"pass","Package":"p"}
`

func TestReport(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name  string
		files map[string]string
		ok    bool
		want  []string
	}{
		{
			name: "green", files: map[string]string{"integration.json": green, "unit-pkg.json": green}, ok: true,
			want: []string{
				"2 integration tests ran; API server version: v1.36.3\n", "TestB: events_kept 58 of 60\n",
				"\n6 passed, 0 failed, 2 skipped\n",
			},
		},
		{
			name: "failed_test", want: []string{"\n3 passed, 1 failed, 1 skipped\n"},
			files: map[string]string{"integration.json": green + `{"Action":"fail","Package":"p","Test":"TestD"}` + "\n" + `{"Action":"fail","Package":"p"}`},
		},
		{
			name: "package_that_does_not_build", want: []string{"q failed outside its tests", "\n3 passed, 1 failed, 1 skipped\n"},
			files: map[string]string{"integration.json": green + `{"Action":"fail","Package":"q"}`},
		},
		{
			name:  "nothing_ran",
			files: map[string]string{"integration.json": `{"Action":"pass","Package":"p"}`, "unit-pkg.json": green},
			want:  []string{"no integration test ran", "did not say which API server"},
		},
		{name: "no_integration", files: map[string]string{"unit-pkg.json": green}, want: []string{"the integration tests did not run"}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for name, text := range tc.files {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			runs, err := readFolder(dir)
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			if got := report(&out, runs); got != tc.ok {
				t.Errorf("ok = %t, want %t", got, tc.ok)
			}
			for _, want := range tc.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("report lacks %q:\n%s", want, out.String())
				}
			}
		})
	}
}

func TestReadFolder_without_runs(t *testing.T) {
	t.Parallel()
	if _, err := readFolder(t.TempDir()); err == nil || !strings.Contains(err.Error(), "run make test first") {
		t.Errorf("error = %v", err)
	}
}
