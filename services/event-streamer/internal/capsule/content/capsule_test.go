package content

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/kube"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// maxEvent is what a capsule may take in an event: a record of the timeline holds
// it beside others.
const maxEvent = 64 << 10

func container(name string, exit int32, message string) corev1.ContainerStatus {
	return corev1.ContainerStatus{Name: name, Image: "registry/work:1", ImageID: "sha256:0", State: corev1.ContainerState{
		Terminated: &corev1.ContainerStateTerminated{ExitCode: exit, Reason: "Error", Message: message, FinishedAt: metav1.NewTime(noon)},
	}}
}

func TestStatusJSON(t *testing.T) {
	t.Parallel()
	status := &corev1.PodStatus{
		Phase: corev1.PodFailed, Message: "login with password=hunter2",
		PodIPs:            []corev1.PodIP{{IP: "10.0.0.1"}},
		ContainerStatuses: []corev1.ContainerStatus{container("work", 137, "token=abc123def\x00\n<script>")},
	}
	got := newStatus(status).json(8 << 10)
	for _, want := range []string{`"exitCode":137`, `"name":"work"`, `password=REDACTED`, `token=REDACTED`} {
		if !strings.Contains(got, want) {
			t.Errorf("%s lacks %s", got, want)
		}
	}
	for _, secret := range []string{"hunter2", "abc123", "podIPs"} {
		if strings.Contains(got, secret) {
			t.Errorf("%s holds %s", got, secret)
		}
	}
	if newStatus(nil).json(99) != "" {
		t.Error("of no status something was said")
	}
}

// However large a status is, what is left of it is JSON, fits, and tells of the
// container that failed.
func TestStatusJSON_fits(t *testing.T) {
	t.Parallel()
	for _, containers := range []int{1, 9, 50, 300} {
		status := &corev1.PodStatus{Phase: corev1.PodFailed, Message: strings.Repeat("m", 9000)}
		for i := range containers {
			status.ContainerStatuses = append(status.ContainerStatuses, container(fmt.Sprintf("c-%03d", i), 0, strings.Repeat("é\n", 2000)))
		}
		status.ContainerStatuses[containers-1] = container("bad", 3, strings.Repeat("why ", 2000))
		got := newStatus(status).json(8 << 10)
		var decoded corev1.PodStatus
		if err := json.Unmarshal([]byte(got), &decoded); err != nil || len(got) > 8<<10 {
			t.Fatalf("%d containers: %d bytes, %v", containers, len(got), err)
		}
		if !strings.Contains(got, `"name":"bad"`) {
			t.Errorf("%d containers: the one that failed is missing in %s", containers, got)
		}
	}
	if got, want := newStatus(&corev1.PodStatus{Phase: corev1.PodFailed}).json(1), `{"phase":"Failed"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestNotes(t *testing.T) {
	t.Parallel()
	event := func(name, message string, at time.Time) corev1.Event {
		return corev1.Event{
			ObjectMeta: metav1.ObjectMeta{Name: name}, InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: "train-1"},
			Type: "Warning", Reason: "BackOff", Message: message, LastTimestamp: metav1.NewTime(at), Count: 2,
		}
	}
	series := event("c", "third", noon)
	series.Series = &corev1.EventSeries{Count: 7, LastObservedTime: metav1.NewMicroTime(noon.Add(2 * time.Second))}
	micro := event("d", "fourth", time.Time{})
	micro.EventTime = metav1.NewMicroTime(noon.Add(3 * time.Second))
	got := notes([]corev1.Event{micro, series, event("b", "second\npassword=hunter2", noon.Add(time.Second)), event("a", "first", noon)})
	var said []string
	for _, n := range got {
		said = append(said, fmt.Sprintf("%s %s %d %s: %s", n.GetAt().AsTime().Format("05"), n.GetObject(), n.GetCount(), n.GetReason(), n.GetMessage()))
	}
	want := []string{
		"00 Pod/train-1 2 BackOff: first", "01 Pod/train-1 2 BackOff: second password=REDACTED",
		"02 Pod/train-1 7 BackOff: third", "03 Pod/train-1 2 BackOff: fourth",
	}
	if diff := cmp.Diff(want, said); diff != "" {
		t.Error(diff)
	}
	if kept := newest(got, 150); len(kept) == 0 || len(kept) >= len(got) || kept[len(kept)-1] != got[len(got)-1] {
		t.Errorf("of %d notes %d were kept, want the newest few", len(got), len(kept))
	}
}

func TestFit_shares(t *testing.T) {
	t.Parallel()
	log := func(lines int) *resiliencyv1.ContainerLog {
		return &resiliencyv1.ContainerLog{Tail: strings.TrimSuffix(strings.Repeat("0123456\n", lines), "\n")}
	}
	logs := []*resiliencyv1.ContainerLog{log(1000), log(2), log(1000)}
	var sizes []int
	for _, l := range fit(logs, 1015) {
		sizes = append(sizes, len(l.GetTail()))
	}
	if diff := cmp.Diff([]int{495, 15, 503}, sizes); diff != "" {
		t.Error(diff)
	}
	if len(logs[0].GetTail()) != 7999 {
		t.Error("what was found is changed")
	}
}

// Whatever was found, the event has room for it and says what is missing.
func TestCapsule_fits(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.Map(rapid.SampledFrom([]int{1, 20, 800}), func(n int) string { return strings.Repeat("é x\n", n) }))
		f := &Found{Pod: text.Draw(t, "pod"), Node: text.Draw(t, "node")}
		if rapid.Bool().Draw(t, "there") {
			f.Status = &corev1.PodStatus{Message: text.Draw(t, "message")}
			for i := range rapid.IntRange(0, 12).Draw(t, "containers") {
				f.Status.ContainerStatuses = append(f.Status.ContainerStatuses, container(fmt.Sprint(i), int32(i), text.Draw(t, "end")))
			}
		}
		for range rapid.IntRange(0, 9).Draw(t, "events") {
			f.Events = append(f.Events, corev1.Event{Message: text.Draw(t, "said"), Reason: text.Draw(t, "reason"), Count: 1})
		}
		for range rapid.IntRange(0, 3).Draw(t, "logs") {
			tail, err := readTail(strings.NewReader(text.Draw(t, "log")), 1000, 64<<10)
			if err != nil {
				t.Fatal(err)
			}
			f.Logs = append(f.Logs, &resiliencyv1.ContainerLog{Tail: tail.Text})
		}
		for range rapid.IntRange(0, 9).Draw(t, "missing") {
			f.Lack("log", text.Draw(t, "why"))
		}
		c := f.Draft().Capsule(InEvent())
		if size := proto.Size(c); size > maxEvent {
			t.Fatalf("the capsule has %d bytes, want at most %d", size, maxEvent)
		}
		if (len(f.Missing) > 0) != (c.GetIncomplete() != "") {
			t.Fatalf("%d things are missing, it says %q", len(f.Missing), c.GetIncomplete())
		}
		if _, err := proto.Marshal(c); err != nil { // invalid UTF-8
			t.Fatal(err)
		}
	})
}

func TestFailure_Phase(t *testing.T) {
	t.Parallel()
	code := int32(137)
	failure := func() *Failure {
		return &Failure{
			Head: job.Observation{
				JobID: "j-17", Attempt: 2, Stage: job.StageKubernetes, Ordinal: job.OrdinalKubernetes, CorrelationID: "c-1",
				Source: resiliencyv1.Source_SOURCE_EVENT_STREAMER, Reporter: "host-a",
				Kubernetes: job.Kubernetes{Cluster: "gpu", UID: "u-1"},
			},
			Pod: &kube.Pod{
				ObjectMeta: metav1.ObjectMeta{Name: "train-1", UID: "p-1"}, Index: "3",
				Causes: []kube.PodCause{
					{Waiting: true, CauseDetail: job.CauseDetail{Cause: job.CauseImage, Message: "image"}},
					{CauseDetail: job.CauseDetail{Cause: job.CauseOOM, ExitCode: &code, Message: "container work ended\nwith secret=hunter2"}},
				},
			},
			At: noon.Add(300 * time.Millisecond),
		}
	}
	capsule := &resiliencyv1.FailureCaptured{Pod: "train-1", Node: "node-1"}
	got := failure().Phase(capsule)
	want := &resiliencyv1.PhaseEvent{
		EventId: failure().EventID(), OccurredAt: got.GetOccurredAt(), JobId: "j-17", Attempt: 2,
		Stage: &resiliencyv1.Stage{Name: "kubernetes", Ordinal: 30}, CorrelationId: "c-1",
		Source: resiliencyv1.Source_SOURCE_EVENT_STREAMER, Reporter: "host-a", Name: "pod.capsule",
		Message: "Pod train-1: container work ended with secret=REDACTED",
		Details: map[string]string{"pod": "train-1", "node": "node-1", "index": "3", "cause": "OOM"},
		Event:   &resiliencyv1.PhaseEvent_FailureCaptured{FailureCaptured: capsule},
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	if !got.GetOccurredAt().AsTime().Equal(noon) {
		t.Errorf("occurred at %s, want the second of the failure", got.GetOccurredAt().AsTime())
	}
	if got, want := failure().Object(), "capsules/j-17/2/p-1-20260302T120000Z.json"; got != want {
		t.Errorf("object %s, want %s", got, want)
	}
	// Who reports and what was found is no part of the id; which failure it was is.
	same, later, other := failure(), failure(), failure()
	same.Head.Reporter, same.Pod.Causes = "host-b", nil
	later.At, other.Pod.UID = noon.Add(time.Minute), "p-2"
	if same.EventID() != want.EventId || later.EventID() == want.EventId || other.EventID() == want.EventId {
		t.Errorf("ids %s, %s, %s, of the first %s", same.EventID(), later.EventID(), other.EventID(), want.EventId)
	}
}
