//go:build integration

package stack_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/test/stack"
	"github.com/envision/resiliency/test/stack/logsink"
)

// programs makes a folder in which this test binary stands for each service; it
// tells by its name that it is to play one.
func programs(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, spec := range stack.Services(dir) {
		if err := os.Symlink(self, spec.Binary); err != nil && !os.IsExist(err) {
			t.Fatal(err)
		}
	}
	return dir
}

// All services run, and what the log witness prints comes as GKE would tell it.
func TestProject_runs_the_product(t *testing.T) {
	t.Parallel()
	project := newProject(t, "product")
	if _, err := project.StartProduct(t.Context(), programs(t), filepath.Join("../..", logsink.FilterFile)); err != nil {
		t.Fatal(err)
	}
	running, urls := map[string]bool{}, map[string]string{}
	var tracer []byte
	for _, process := range project.Processes() {
		running[process.Name()], urls[process.Name()] = process.Running(), process.URL()
		if process.Name() == "phase-tracer" {
			tracer, _ = os.ReadFile(process.LogPath())
		}
	}
	if link := "letters " + urls["dlq-handler"] + "\n"; urls["dlq-handler"] == "" || !strings.Contains(string(tracer), link) {
		t.Errorf("phase-tracer was started with %q, want %q", tracer, link)
	}
	want := map[string]bool{"status-updater": true, "event-streamer": true, stack.WitnessName: true, "dlq-handler": true, "phase-tracer": true}
	if diff := cmp.Diff(want, running); diff != "" {
		t.Errorf("services (-want +got):\n%s", diff)
	}
	entry := firstEntry(t, project)
	labels := entry.Resource.Labels
	if c := stack.WitnessContainer(); labels["namespace_name"] != c.Namespace || labels["container_name"] != c.Name {
		t.Errorf("the line comes from %v, want %+v", labels, c)
	}
	if entry.JSONPayload["job_event"] == nil {
		t.Errorf("payload %v is not what the witness printed", entry.JSONPayload)
	}
	if err := project.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// firstEntry is the first entry that the sink publishes.
func firstEntry(t *testing.T, project *stack.Project) logsink.Entry {
	t.Helper()
	client, err := project.PubSub(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	entries := make(chan []byte, 1)
	err = client.Subscriber(topology.SubscriptionJobLogEntriesStatusUpdater).Receive(ctx, func(_ context.Context, m *pubsub.Message) {
		m.Ack()
		select {
		case entries <- m.Data:
		default:
		}
		cancel()
	})
	if err != nil {
		t.Fatal(err)
	}
	var entry logsink.Entry
	select {
	case data := <-entries:
		if err := json.Unmarshal(data, &entry); err != nil {
			t.Fatal(err)
		}
	default:
		t.Fatal("no entry came within 30 s")
	}
	return entry
}
