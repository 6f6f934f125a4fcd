//go:build integration

package stack_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/firestore"
	"cloud.google.com/go/pubsub/v2"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/envision/resiliency/test/stack"
	"github.com/envision/resiliency/test/stack/proc"
	"github.com/envision/resiliency/test/stack/proxy"
)

// Not parallel: it takes away what the other tests stand on.
//
//nolint:paralleltest // see above
func TestStack_parts_can_be_broken_and_mended(t *testing.T) {
	project := newProject(t, "parts")
	for _, name := range shared.Parts() {
		t.Run(name, func(t *testing.T) {
			part, err := shared.Part(name)
			if err != nil {
				t.Fatal(err)
			}
			if info, err := os.Stat(part.LogPath()); err != nil || info.Size() == 0 {
				t.Errorf("log of %s: %v", name, err)
			}
			if err := errors.Join(part.Pause(), part.Resume(), part.Kill(), part.Kill()); err != nil {
				t.Fatal(err)
			}
			if err := part.Pause(); !errors.Is(err, proc.ErrNotRunning) {
				t.Errorf("pause of a killed part: %v", err)
			}
			if err := errors.Join(part.Restart(t.Context()), part.Restart(t.Context())); err != nil {
				t.Fatal(err)
			}
		})
	}
	if _, err := shared.Part("none"); err == nil || !strings.Contains(err.Error(), stack.PartEtcd) {
		t.Errorf("an unknown part: %v", err)
	}
	// Everything works again, on the addresses of before.
	createJob(t, stack.JobSpec{Namespace: project.Namespace, Name: "after", JobID: "after"})
	awaitCondition(t, project.Namespace, "after", batchv1.JobComplete)
	if err := project.Provision(t.Context()); err != nil { // the emulator came back empty
		t.Fatal(err)
	}
	publishAndStore(t, project)
}

// publishAndStore uses both emulators through their proxies.
func publishAndStore(t *testing.T, project *stack.Project) {
	t.Helper()
	ctx := t.Context()
	store, err := project.Firestore(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	if _, err := store.Doc("jobs/j").Set(ctx, map[string]any{"state": "RUNNING"}); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Doc("jobs/j").Get(ctx); err != nil {
		t.Fatal(err)
	}
	messages, err := project.PubSub(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = messages.Close() }()
	publisher := messages.Publisher("job-events")
	defer publisher.Stop()
	if _, err := publisher.Publish(ctx, &pubsub.Message{Data: []byte("x")}).Get(ctx); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	err = messages.Subscriber("job-events-status-updater").Receive(ctx, func(_ context.Context, m *pubsub.Message) {
		m.Ack()
		cancel()
	})
	if err != nil || !errors.Is(ctx.Err(), context.Canceled) {
		t.Fatalf("receive: %v, %v", err, ctx.Err())
	}
}

// Not parallel: the test of the control API clears all faults.
func TestProject_is_counted_and_faulted_apart(t *testing.T) { //nolint:paralleltest // see above
	one, other := newProject(t, "one"), newProject(t, "other")
	publishAndStore(t, one)
	counts, messages := shared.Firestore.Counts(one.ID), shared.PubSub.Counts(one.ID)
	if counts.Writes["jobs"] != 1 || counts.Reads["jobs"] != 1 {
		t.Errorf("Firestore counts: %+v", counts)
	}
	if messages.Published["job-events"] != 1 || messages.Delivered["job-events-status-updater"] < 1 {
		t.Errorf("Pub/Sub counts: %+v", messages)
	}
	if got := shared.Firestore.Counts(other.ID); len(got.Calls) != 0 {
		t.Errorf("the other project's counts: %+v", got)
	}
	remove := shared.Firestore.Inject(proxy.Fault{Project: one.ID, Cut: true})
	defer remove()
	write := func(project *stack.Project) error {
		client, err := project.Firestore(t.Context())
		if err != nil {
			return err
		}
		defer func() { _ = client.Close() }()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err = client.Doc("jobs/k").Set(ctx, map[string]any{"n": firestore.ServerTimestamp})
		return err
	}
	if err := write(other); err != nil {
		t.Errorf("the project without a fault: %v", err)
	}
	if err := write(one); err == nil {
		t.Error("the project that is cut off wrote a document")
	}
	remove()
	if err := write(one); err != nil {
		t.Errorf("after the cut: %v", err)
	}
}

func TestStack_gcs_keeps_objects_and_fails_on_demand(t *testing.T) {
	t.Parallel()
	client, err := shared.GCS.Client(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	object := client.Bucket(stack.OutputBucket).Object("run/_SUCCESS")
	w := object.NewWriter(t.Context())
	if _, err := io.WriteString(w, "uid"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if attrs, err := object.Attrs(t.Context()); err != nil || attrs.Size != 3 {
		t.Errorf("attributes %+v, %v", attrs, err)
	}
	remove := shared.GCS.Inject(stack.HTTPFault{Contains: "/run/_SUCCESS", Status: http.StatusForbidden})
	if _, err := object.Attrs(t.Context()); err == nil {
		t.Error("a faulty bucket answers")
	}
	if _, err := client.Bucket(stack.OutputBucket).Attrs(t.Context()); err != nil {
		t.Errorf("the fault is another object's: %v", err)
	}
	remove()
	if _, err := object.Attrs(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestControl_serves_what_another_process_needs(t *testing.T) {
	t.Parallel()
	project := newProject(t, "control")
	if _, err := project.StartService(t.Context(), service(t, "svc", "good")); err != nil {
		t.Fatal(err)
	}
	control, err := project.StartControl()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = control.Close() }()
	call := func(method, path, body string, header ...string) (int, string) {
		request, err := http.NewRequestWithContext(t.Context(), method, control.URL()+path, bytes.NewBufferString(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Close = true
		for i := 0; i+1 < len(header); i += 2 {
			request.Header.Set(header[i], header[i+1])
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(text)
	}
	for _, c := range []struct {
		method, path, body string
		want               int
	}{
		{"POST", "/services/svc/pause", "", 204},
		{"POST", "/services/svc/resume", "", 204},
		{"POST", "/services/svc/kill", "", 204},
		{"POST", "/services/svc/pause", "", 409},
		{"POST", "/services/svc/restart", "", 204},
		{"POST", "/services/none/kill", "", 404},
		{"POST", "/services/svc/burn", "", 404},
		{"POST", "/parts/none/kill", "", 404},
		{"POST", "/proxies/pubsub/faults", `{"project":"no-such-project","code":14}`, 204},
		{"POST", "/proxies/pubsub/faults", `{"unknown":1}`, 409},
		{"DELETE", "/proxies/firestore/faults", "", 204},
		{"DELETE", "/proxies/pubsub/counts/no-such-project", "", 204},
		{"GET", "/proxies/none/counts/p", "", 404},
	} {
		if got, text := call(c.method, c.path, c.body); got != c.want {
			t.Errorf("%s %s: %d %s, want %d", c.method, c.path, got, text, c.want)
		}
	}
	if got, _ := call("POST", "/services/svc/kill", "", "Origin", "http://example.com"); got != http.StatusForbidden {
		t.Errorf("a web page may kill services: %d", got)
	}
	code, text := call("GET", "/status", "")
	var status stack.Status
	if err := json.Unmarshal([]byte(text), &status); code != 200 || err != nil {
		t.Fatalf("status: %d, %v, %s", code, err, text)
	}
	if len(status.Services) != 1 || !status.Services[0].Ready || status.Kubernetes != shared.ServerVersion() {
		t.Errorf("status %+v", status)
	}
}

func TestStack_refuses_a_second_one_in_its_directory(t *testing.T) {
	t.Parallel()
	_, err := stack.Start(t.Context(), stack.Options{Dir: runDir, ToolsDir: toolsDir})
	if !errors.Is(err, proc.ErrInUse) {
		t.Errorf("a second stack: %v, want ErrInUse", err)
	}
	// And it did not hurt the first.
	if _, err := shared.Kube().CoreV1().Nodes().List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Error(err)
	}
}
