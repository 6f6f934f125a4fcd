package kube

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobevent"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

var update = flag.Bool("update", false, "write the golden files anew")

func testMapper() *Mapper {
	return &Mapper{
		Cluster: "gpu-east", Source: resiliencyv1.Source_SOURCE_EVENT_STREAMER,
		Reporter: "event-streamer-0", Tenants: map[string]string{"ml": "vision"},
	}
}

// load reads a file of testdata: a Job and, behind it, Pods.
func load(t *testing.T, name string) (*batchv1.Job, []*corev1.Pod) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	d := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(raw), 4096)
	o := new(batchv1.Job)
	if err := d.Decode(o); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	var pods []*corev1.Pod
	for {
		p := new(corev1.Pod)
		switch err := d.Decode(p); {
		case errors.Is(err, io.EOF):
			return o, pods
		case err != nil:
			t.Fatalf("%s: %v", name, err)
		}
		pods = append(pods, p)
	}
}

func read(t *testing.T, name string) *Job {
	t.Helper()
	o, _ := load(t, name)
	return ReadJob(o)
}

func must(t *testing.T) func(Facts, error) Facts {
	return func(f Facts, err error) Facts {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
}

// TestMapper_golden holds every event that an object makes, byte for byte: ids
// and times are a contract with whatever else reports the same facts.
func TestMapper_golden(t *testing.T) {
	t.Parallel()
	m := testMapper()
	live := func(t *testing.T, file string) Facts { return must(t)(m.Job(read(t, file))) }
	final := func(t *testing.T, file string) Facts { return must(t)(m.Deleted(read(t, file), true)) }
	lost := func(t *testing.T, file string) Facts { return must(t)(m.Deleted(read(t, file), false)) }
	pod := func(t *testing.T, file string) Facts {
		o, pods := load(t, file)
		return must(t)(m.Pod(ReadPod(pods[0]), ReadJob(o)))
	}
	podGone := func(t *testing.T, file string) Facts {
		o, pods := load(t, file)
		return must(t)(m.PodDeleted(ReadPod(pods[0]), ReadJob(o)))
	}
	cases := []struct {
		golden, file string
		facts        func(*testing.T, string) Facts
	}{
		{"pending", "pending", live},
		{"running", "running", live},
		{"suspended_at_creation", "suspended_at_creation", live},
		{"resumed", "resumed", live},
		{"complete", "complete", live},
		{"stage_done", "stage_done", live},
		{"failed_backoff", "failed_backoff", live},
		{"failed_policy", "failed_policy", live},
		{"failure_target", "failure_target", live},
		{"bad_annotations", "bad_annotations", live},
		{"deleted_running", "running", final},
		{"deleted_foreground", "deleting", final},
		{"deleted_after_end", "complete", final},
		{"deleted_failure_target", "failure_target", final},
		{"deleted_success_criteria_met", "success_criteria_met", final},
		{"vanished_running", "running", lost},
		{"vanished_failure_target", "failure_target", lost},
		{"pod_oom", "pod_oom", pod},
		{"pod_succeeded", "pod_succeeded", pod},
		{"pod_restarted_after_oom", "pod_restarted_after_oom", pod},
		{"pod_evicted", "pod_evicted", pod},
		{"pod_image", "pod_image", pod},
		{"pod_unschedulable", "pod_unschedulable", pod},
		{"pod_deleted_running", "pod_deleted_running", podGone},
		{"pod_killed", "pod_killed", podGone},
	}
	for _, c := range cases {
		t.Run(c.golden, func(t *testing.T) {
			t.Parallel()
			golden(t, c.golden, c.facts(t, c.file))
		})
	}
}

func golden(t *testing.T, name string, f Facts) {
	t.Helper()
	var out bytes.Buffer
	for i := range f.Observations {
		line(t, &out, "job_event", jobevent.Encode(&f.Observations[i]))
	}
	for _, p := range f.Phases {
		line(t, &out, "phase_event", p)
	}
	for _, n := range f.Notes {
		out.WriteString("note " + n.Key + " " + n.Problem + "\n")
	}
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), out.String()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// line prints a message as indented JSON; protojson itself varies its blanks.
func line(t *testing.T, out *bytes.Buffer, kind string, m proto.Message) {
	t.Helper()
	raw, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	out.WriteString(kind + " ")
	if err := json.Indent(out, raw, "", "  "); err != nil {
		t.Fatal(err)
	}
	out.WriteString("\n")
}

func states(f Facts) []string {
	var out []string
	for i := range f.Observations {
		if o := &f.Observations[i]; o.Kind == job.KindStatus {
			out = append(out, job.StateName(o.State))
		}
	}
	return out
}
