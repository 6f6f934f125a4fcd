//go:build integration

package stack_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/envision/resiliency/pkg/logentry"
	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/test/stack"
	"github.com/envision/resiliency/test/stack/logsink"
)

// The sink carries what the control plane kept, all of it and nothing else, in
// the true shape.
func TestLogSink_carries_the_Events_of_the_control_plane(t *testing.T) {
	t.Parallel()
	project := newProject(t, "sink")
	witness := logsink.Container{Namespace: "resiliency", Pod: "log-witness-0", Name: "log-witness"}
	sink, err := project.StartLogSink(t.Context(), stack.SinkSpec{
		FilterFile: filepath.Join("../..", logsink.FilterFile), Witness: witness,
		Faults: logsink.Faults{Seed: 1, MaxLag: 200 * time.Millisecond, Repeat: 0.1},
	})
	if err != nil {
		t.Fatal(err)
	}
	const succeed, fail = 20, 5
	for i := range succeed + fail {
		spec := stack.JobSpec{Namespace: project.Namespace, Name: fmt.Sprintf("job-%02d", i), JobID: fmt.Sprintf("j-%d", i)}
		if spec.Outcome = stack.OutcomeSucceed; i >= succeed {
			spec.Outcome = stack.OutcomeExit
		}
		createJob(t, spec)
	}
	for i := range succeed + fail {
		condition := batchv1.JobComplete
		if i >= succeed {
			condition = batchv1.JobFailed
		}
		awaitCondition(t, project.Namespace, fmt.Sprintf("job-%02d", i), condition)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	kept := awaitEnds(ctx, t, sink, project.Namespace, (succeed+fail)/2)
	counts := sink.Counts()
	t.Logf("%d of %d ends were kept as Events; %+v", kept, succeed+fail, counts)
	checkPublished(ctx, t, project, counts)
	if err := sink.Stop(); err != nil {
		t.Error(err)
	}
}

// awaitEnds waits until the sink has carried just those ends of Jobs that the API
// server holds an Event of, and says how many. The Event follows the status, and
// some never come, so there is no number to wait for but the least.
func awaitEnds(ctx context.Context, t *testing.T, sink *stack.LogSink, namespace string, least int) int {
	t.Helper()
	var kept []logsink.KeptEvent
	poll(t, 20*time.Second, "the Events of the ends of Jobs", func(context.Context) (bool, error) {
		if err := sink.Drain(ctx); err != nil {
			return false, err
		}
		kept = sink.KeptEvents()
		listed, err := listEnds(ctx, namespace)
		return len(kept) >= least && slices.Equal(kept, listed), err
	})
	return len(kept)
}

func listEnds(ctx context.Context, namespace string) ([]logsink.KeptEvent, error) {
	list, err := shared.Kube().CoreV1().Events(namespace).List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.kind=Job"})
	if err != nil {
		return nil, err
	}
	var ends []logsink.KeptEvent
	for _, e := range list.Items {
		if e.Reason == "Completed" || e.Reason == "BackoffLimitExceeded" {
			ends = append(ends, logsink.KeptEvent{
				Namespace: namespace, Name: e.InvolvedObject.Name, UID: e.InvolvedObject.UID, Reason: e.Reason,
			})
		}
	}
	slices.SortFunc(ends, func(a, b logsink.KeptEvent) int { return cmp.Compare(a.Name, b.Name) })
	return ends, nil
}

// checkPublished reads the topic as status-updater would.
func checkPublished(ctx context.Context, t *testing.T, project *stack.Project, counts logsink.Counts) {
	t.Helper()
	client, err := project.PubSub(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	name := topology.SubscriptionName(project.ID, topology.SubscriptionJobLogEntriesStatusUpdater)
	for got := 0; got < counts.Published; {
		response, err := client.SubscriptionAdminClient.Pull(ctx, &pubsubpb.PullRequest{Subscription: name, MaxMessages: 100})
		if err != nil {
			t.Fatalf("%d of %d messages were pulled: %v", got, counts.Published, err)
		}
		var acks []string
		for _, m := range response.GetReceivedMessages() {
			acks = append(acks, m.GetAckId())
			checkEntry(t, project, m.GetMessage())
		}
		if got += len(acks); len(acks) > 0 {
			request := &pubsubpb.AcknowledgeRequest{Subscription: name, AckIds: acks}
			if err := client.SubscriptionAdminClient.Acknowledge(ctx, request); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func checkEntry(t *testing.T, project *stack.Project, message *pubsubpb.PubsubMessage) {
	t.Helper()
	var entry logsink.Entry
	if err := json.Unmarshal(message.GetData(), &entry); err != nil {
		t.Error(err)
		return
	}
	object, _ := entry.JSONPayload["involvedObject"].(map[string]any)
	if entry.LogName != "projects/"+project.ID+"/logs/events" || object["namespace"] != project.Namespace || object["uid"] == nil ||
		entry.Resource.Labels["cluster_name"] != stack.ClusterName || entry.InsertID == "" {
		t.Errorf("entry %s", message.GetData())
	}
	if _, err := logentry.Read(message.GetData()); err != nil {
		t.Errorf("the consumer cannot read %s: %v", message.GetData(), err)
	}
	if got := message.GetAttributes()[logsink.TimestampAttribute]; got != entry.Timestamp.String() {
		t.Errorf("attribute %q, timestamp %s", got, entry.Timestamp)
	}
}
