package logentry

import (
	"strings"
	"testing"

	"github.com/envision/resiliency/pkg/job"
)

var trust = Trust{Namespace: "resiliency", Container: "log-witness", Project: "p", Location: "l", Cluster: "c"}

func lineOf(namespace, pod, container string, labels map[string]string) *Entry {
	return &Entry{
		Resource: Resource{Type: resourceContainer, Labels: map[string]string{
			"project_id": "p", "location": "l", "cluster_name": "c",
			"namespace_name": namespace, "pod_name": pod, "container_name": container,
		}},
		Labels: labels,
	}
}

var jobLabel = map[string]string{"k8s-pod/resiliency_envision_dev/job-id": "j-1"}

func TestTrust_Speaker(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name  string
		entry *Entry
		want  Speaker
		jobID string
	}{
		{"the witness", lineOf("resiliency", "w-1", "log-witness", nil), SpeakerWitness, ""},
		{"its container elsewhere", lineOf("etl", "w-1", "log-witness", nil), SpeakerNobody, ""},
		{"another container beside it", lineOf("resiliency", "w-1", "sidecar", nil), SpeakerNobody, ""},
		{"a job's container", lineOf("etl", "x", "main", jobLabel), SpeakerContainer, "j-1"},
		{"a job's container named like the witness", lineOf("etl", "x", "log-witness", jobLabel), SpeakerContainer, "j-1"},
		{"any container", lineOf("etl", "x", "main", map[string]string{"k8s-pod/app": "x"}), SpeakerNobody, ""},
		{"a container without a name", lineOf("etl", "x", "", jobLabel), SpeakerNobody, ""},
		{"no container", &Entry{Resource: Resource{Type: "k8s_pod"}, Labels: jobLabel}, SpeakerNobody, ""},
	}
	for _, tc := range cases {
		if got, jobID := trust.Speaker(tc.entry); got != tc.want || jobID != tc.jobID {
			t.Errorf("%s: speaker %d of job %q, want %d of %q", tc.name, got, jobID, tc.want, tc.jobID)
		}
	}
	// Without a configured witness nobody is it.
	if got, _ := new(Trust).Speaker(lineOf("", "", "", nil)); got != SpeakerNobody {
		t.Errorf("speaker %d", got)
	}
}

func TestTrust_Foreign(t *testing.T) {
	t.Parallel()
	if e := lineOf("etl", "x", "main", nil); trust.Foreign(e) {
		t.Error("the cluster itself is foreign")
	}
	for _, label := range []string{"project_id", "location", "cluster_name"} {
		e := lineOf("etl", "x", "main", nil)
		e.Resource.Labels[label] = "other"
		if !trust.Foreign(e) {
			t.Errorf("another %s is not foreign", label)
		}
		delete(e.Resource.Labels, label)
		if !trust.Foreign(e) || new(Trust).Foreign(e) {
			t.Errorf("no %s: foreign must be who is asked to prove it, and nobody else", label)
		}
	}
}

func TestEntry_Vouches(t *testing.T) {
	t.Parallel()
	const uid = "u-1"
	controller := func(uid string) map[string]string {
		return map[string]string{"k8s-pod/batch_kubernetes_io/controller-uid": uid}
	}
	long := strings.Repeat("n", 60)
	cases := []struct {
		name  string
		job   string
		entry *Entry
		want  bool
	}{
		{"its pod", "train", lineOf("etl", "train-x7k2p", "main", controller(uid)), true},
		{"its pod without the controller's label", "train", lineOf("etl", "train-x7k2p", "main", nil), true},
		{"its pod with an index", "train", lineOf("etl", "train-12-x7k2p", "main", nil), true},
		{"its pod, the name cut", long, lineOf("etl", long[:58]+"x7k2p", "main", nil), true},
		{"another namespace", "train", lineOf("prod", "train-x7k2p", "main", controller(uid)), false},
		{"the pod of another Job", "train", lineOf("etl", "train-x7k2p", "main", controller("u-2")), false},
		{"a name that goes on", "train", lineOf("etl", "train-big-x7k2p", "main", nil), false},
		{"a name that begins alike", "train", lineOf("etl", "trainx-x7k2p", "main", nil), false},
		{"another name", "train", lineOf("etl", "x", "main", jobLabel), false},
		{"no pod", "train", lineOf("etl", "", "main", nil), false},
	}
	for _, tc := range cases {
		k := &job.Kubernetes{Namespace: "etl", Name: tc.job, UID: uid}
		if got := tc.entry.Vouches(k); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
	if lineOf("", "", "main", nil).Vouches(&job.Kubernetes{}) {
		t.Error("a record without a Kubernetes Job is vouched for")
	}
}
