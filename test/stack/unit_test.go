package stack

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	"sigs.k8s.io/yaml"
)

func TestVars_survive_a_shell(t *testing.T) {
	t.Parallel()
	vars := Vars{}.with("PLAIN", "value", "QUOTED", `it's "$HOME" \ `, "EMPTY", "", "PLAIN", "newer")
	if got := ParseShell(vars.Shell()); !cmp.Equal(got.pairs, vars.pairs) {
		t.Errorf("parsed %v, want %v", got.pairs, vars.pairs)
	}
	path := filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(path, []byte(vars.Shell()), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "/bin/sh", "-c", `. "$0"; printf %s "$PLAIN|$QUOTED|$EMPTY|"`, path).Output()
	if want := `newer|it's "$HOME" \ ||`; err != nil || string(out) != want {
		t.Errorf("a shell read %q (%v), want %q", out, err, want)
	}
	if got := ParseShell("nonsense\nexport A=unquoted\n# export B='1'\n").pairs; len(got) != 0 {
		t.Errorf("nonsense was read as %v", got)
	}
	if got := vars.with("PLAIN", "other").Get("PLAIN") + vars.Get("PLAIN"); got != "othernewer" {
		t.Errorf("with changed its receiver: %q", got)
	}
}

func TestEmulatorKind_external(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		env  map[string]string
		want string
	}{
		"none":                        {nil, ""},
		"one that runs":               {map[string]string{envFirestore: "localhost:8080"}, "localhost:8080"},
		"with a scheme":               {map[string]string{envFirestore: "http://localhost:8080"}, "localhost:8080"},
		"our own proxy of a past run": {map[string]string{envFirestore: "127.0.0.1:1", envProxies: "127.0.0.1:1,127.0.0.1:2"}, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := firestoreKind.external(func(key string) string { return tc.env[key] }); got != tc.want {
				t.Errorf("address %q, want %q", got, tc.want)
			}
		})
	}
}

func TestExternalEmulator_takes_no_orders(t *testing.T) {
	t.Parallel()
	e := external{name: PartFirestore, addr: "h:1"}
	for _, err := range []error{e.Kill(), e.Pause(), e.Resume(), e.Restart(t.Context())} {
		if !errors.Is(err, ErrExternal) || !strings.Contains(err.Error(), "h:1") {
			t.Errorf("error %v, want ErrExternal with the address", err)
		}
	}
}

func TestPorts_are_free_and_given_once(t *testing.T) {
	t.Parallel()
	var p ports
	seen := map[int]bool{}
	for range 200 {
		port, err := p.next()
		if err != nil || port < firstPort || port >= lastPort || seen[port] {
			t.Fatalf("port %d, %v, seen before: %v", port, err, seen[port])
		}
		seen[port] = true
	}
}

func TestLinked_tells_services_of_each_other(t *testing.T) {
	t.Parallel()
	p := &Project{stack: &Stack{}}
	table := Services("bin")
	specs, err := p.linked(table)
	if err != nil {
		t.Fatal(err)
	}
	at := func(name string) ServiceSpec {
		return specs[slices.IndexFunc(specs, func(s ServiceSpec) bool { return s.Name == name })]
	}
	if want := "LETTERS_URL=http://" + loopback(at("dlq-handler").api); !slices.Contains(at("phase-tracer").Env, want) {
		t.Errorf("phase-tracer has %v, not %s", at("phase-tracer").Env, want)
	}
	for i := range table {
		if table[i].api != 0 {
			t.Errorf("the row of %s was changed", table[i].Name)
		}
	}
	for _, to := range []string{"nobody", "mute"} {
		if _, err := p.linked([]ServiceSpec{{Name: "a", Links: map[string]string{"B_URL": to}}, {Name: "mute"}}); err == nil {
			t.Errorf("a link to %s, which has no API, was made", to)
		}
	}
}

func TestJob_carries_what_was_declared(t *testing.T) {
	t.Parallel()
	job := Job(JobSpec{
		Namespace: "ns", Name: "n", JobID: "j-1", Attempt: 2, CorrelationID: "c", Owner: "o", OutputURI: "gs://b/p/",
		NotFinal: true, Outcome: OutcomeExit, ExitCode: 3, After: 1500 * time.Millisecond, Indexed: true,
		Completions: 4, TTL: -1, ActiveDeadline: time.Minute, Labels: map[string]string{"x": "y"},
	})
	pod := job.Spec.Template
	want := map[string]string{
		AnnotationAttempt: "2", AnnotationCorrelationID: "c", AnnotationOwner: "o", AnnotationOutputURI: "gs://b/p/",
		AnnotationStageFinal: "false",
	}
	if diff := cmp.Diff(want, job.Annotations); diff != "" {
		t.Errorf("annotations of the Job: the outcome must not be among them (-want +got):\n%s", diff)
	}
	want[AnnotationOutcome], want[AnnotationSeconds], want[AnnotationExitCode] = "exit", "1.5", "3"
	if diff := cmp.Diff(want, pod.Annotations); diff != "" {
		t.Errorf("annotations of its pods (-want +got):\n%s", diff)
	}
	if job.Labels[LabelJobID] != "j-1" || pod.Labels[LabelJobID] != "j-1" || job.Labels["x"] != "y" {
		t.Errorf("labels %v and %v", job.Labels, pod.Labels)
	}
	if *job.Spec.TTLSecondsAfterFinished != 0 || *job.Spec.ActiveDeadlineSeconds != 60 || *job.Spec.Completions != 4 ||
		*job.Spec.CompletionMode != batchv1.IndexedCompletion {
		t.Errorf("spec %+v", job.Spec)
	}
	bare := Job(JobSpec{Namespace: "ns", Name: "n", Outcome: OutcomeUnschedulable})
	if len(bare.Labels) != 0 || len(bare.Annotations) != 0 || bare.Spec.TTLSecondsAfterFinished != nil ||
		len(bare.Spec.Template.Spec.NodeSelector) != 1 {
		t.Errorf("bare Job %+v", bare)
	}
}

// A Stage that does not parse, or a missing node Stage, shows as pods that stay
// Pending for ever: better here.
func TestStages_are_complete(t *testing.T) {
	t.Parallel()
	kinds := map[string]int{}
	for _, document := range strings.Split(string(stages), "\n---\n") {
		var stage struct {
			Kind     string
			Metadata struct{ Name string }
			Spec     struct {
				ResourceRef struct{ Kind string }
				Selector    map[string]any
				Next        map[string]any
			}
		}
		if err := yaml.Unmarshal([]byte(document), &stage); err != nil {
			t.Fatal(err)
		}
		if stage.Kind != "Stage" || stage.Metadata.Name == "" || len(stage.Spec.Selector) == 0 || len(stage.Spec.Next) == 0 {
			t.Errorf("incomplete stage %+v", stage)
		}
		kinds[stage.Spec.ResourceRef.Kind]++
	}
	if kinds["Node"] != 2 || kinds["Pod"] < 6 {
		t.Errorf("stages by kind: %v", kinds)
	}
}

func TestStart_says_what_is_missing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := Start(t.Context(), Options{Dir: filepath.Join(dir, "run"), ToolsDir: filepath.Join(dir, "tools")})
	if err == nil {
		t.Fatal("a stack started without tools")
	}
	for _, want := range append([]string{"make tools"}, clusterTools...) {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q lacks %q", err, want)
		}
	}
	if _, err := Start(t.Context(), Options{}); err == nil {
		t.Error("a stack started without options")
	}
	err = CheckBinaries(Programs(dir))
	if err == nil || !strings.Contains(err.Error(), "make build") || strings.Count(err.Error(), "event-streamer") != 1 ||
		strings.Count(err.Error(), "recovery-job") != 1 {
		t.Errorf("missing services: %v", err)
	}
}

// The docker command is played by a script that writes down what it is asked.
func TestContainer_is_named_after_its_run_directory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script := filepath.Join(dir, "docker")
	record := filepath.Join(dir, "calls")
	text := "#!/bin/sh\necho \"$@\" >>" + record + "\ncase $1 in rm) echo 'Error: No such container' >&2; exit 1;; run) exit 3;; esac\n"
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := prepare(Options{Dir: filepath.Join(dir, "run"), ToolsDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	c := newContainer(&launcher{stack: s, dock: &docker{path: script}}, firestoreKind, 12345)
	if err := c.Restart(t.Context()); err == nil || !strings.Contains(err.Error(), "ended before it answered") {
		t.Errorf("restart of a container that ends: %v", err)
	}
	if err := c.Pause(); err != nil {
		t.Error(err)
	}
	calls, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(calls)), "\n")
	if len(lines) != 3 || lines[0] != "rm --force "+c.name || lines[2] != "pause "+c.name {
		t.Fatalf("docker was called with %q", lines)
	}
	for _, want := range []string{"--name " + c.name, "--publish 127.0.0.1:12345:8080", emulatorImage, "--database-mode=firestore-native"} {
		if !strings.Contains(lines[1], want) {
			t.Errorf("docker %s: lacks %s", lines[1], want)
		}
	}
}
