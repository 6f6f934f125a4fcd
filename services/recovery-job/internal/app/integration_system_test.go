//go:build integration

package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/firestore"
	"cloud.google.com/go/pubsub/v2"
	"github.com/google/uuid"
	"github.com/rs/zerolog"
	"google.golang.org/api/iterator"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/envision/resiliency/pkg/bucket"
	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/jobstore/announce"
	"github.com/envision/resiliency/pkg/kube"
	"github.com/envision/resiliency/services/recovery-job/internal/cluster"
	"github.com/envision/resiliency/services/recovery-job/internal/report"
	builtin "github.com/envision/resiliency/services/recovery-job/internal/rules"
)

// patience bounds every wait; nothing here takes that long on its own.
const patience = time.Minute

// system is a project and a namespace of the test's own, on the emulators and the
// real control plane.
type system struct {
	t         *testing.T
	project   string
	namespace string
	db        *firestore.Client
	records   *jobstore.Store
	kube      kubernetes.Interface
	objects   *bucket.Client
}

func newSystem(t *testing.T) *system {
	t.Helper()
	for _, name := range []string{"FIRESTORE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST", "STORAGE_EMULATOR_HOST", "KUBECONFIG", "OUTPUT_BUCKET"} {
		if os.Getenv(name) == "" {
			t.Fatalf("%s is not set: integration tests need the local stack (`make test` starts it)", name)
		}
	}
	id := uuid.NewString()[:8]
	s := &system{t: t, project: "recovery-" + id, namespace: "recovery-" + id}
	var err error
	if s.db, err = jobstore.NewClient(t.Context(), s.project, ""); err != nil {
		t.Fatal(err)
	}
	if s.objects, err = bucket.New(t.Context(), patience); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(s.db.Close(), s.objects.Close()); err != nil {
			t.Error(err)
		}
	})
	// Everything was last heard of some hours ago.
	s.records = jobstore.New(s.db, jobstore.WithWriter("test"), jobstore.WithTimeout(patience),
		jobstore.WithClock(func() time.Time { return heard }), jobstore.WithOutbox(announce.Changes(source)))
	if s.kube, err = cluster.Connect(os.Getenv("KUBECONFIG"), "test"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.kube.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{Name: s.namespace},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	return s
}

// heard is when the jobs of these tests were last heard of.
var heard = time.Now().Add(-2 * time.Hour).UTC().Truncate(time.Second)

// apply puts a job on record.
func (s *system) apply(o *job.Observation) {
	s.t.Helper()
	result, err := s.records.Apply(s.t.Context(), o)
	if err != nil {
		s.t.Fatal(err)
	}
	ids := make([]string, len(result.Entries))
	for i := range result.Entries {
		ids[i] = result.Entries[i].ID
	}
	if err := s.records.DeleteEntries(s.t.Context(), ids); err != nil {
		s.t.Fatal(err)
	}
}

// kubernetes puts a job on record whose Kubernetes Job was running.
func (s *system) kubernetes(id, uid string) {
	s.apply(&job.Observation{
		EventID: uuid.NewString(), JobID: id, Attempt: 1, OccurredAt: heard, Ordinal: job.OrdinalKubernetes, Stage: job.StageKubernetes,
		Kind: job.KindStatus, State: job.StateRunning, Owner: "ana", OutputURI: s.output(id),
		Kubernetes: job.Kubernetes{Cluster: "main", Namespace: s.namespace, Name: id, UID: uid, CreatedAt: heard, End: job.StageEndsJob},
	})
}

func (s *system) backend(id string) {
	s.apply(&job.Observation{
		EventID: uuid.NewString(), JobID: id, Attempt: 1, OccurredAt: heard, Ordinal: job.OrdinalBackend, Stage: job.StageBackend,
		Kind: job.KindStatus, State: job.StateRunning,
	})
}

func (s *system) output(id string) string {
	return "gs://" + os.Getenv("OUTPUT_BUCKET") + "/" + s.project + "/" + id + "/"
}

// mark writes the marker of a run that was done.
func (s *system) mark(id, uid string) {
	s.t.Helper()
	object := s.project + "/" + id + "/_SUCCESS"
	if err := s.objects.Put(s.t.Context(), os.Getenv("OUTPUT_BUCKET"), object, fmt.Appendf(nil, `{"uid":%q}`, uid)); err != nil {
		s.t.Fatal(err)
	}
}

// createJob creates a labelled Kubernetes Job that is suspended: it stays.
func (s *system) createJob(id string) (uid string) {
	s.t.Helper()
	created, err := s.kube.BatchV1().Jobs(s.namespace).Create(s.t.Context(), &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: id, Labels: map[string]string{kube.LabelJobID: id}},
		Spec: batchv1.JobSpec{Suspend: new(true), Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{kube.LabelJobID: id}},
			Spec: corev1.PodSpec{
				RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "c", Image: "i"}},
			},
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	return string(created.UID)
}

// run is one call of the program.
func (s *system) run(env map[string]string, args ...string) (code int, r report.Report, log string) {
	s.t.Helper()
	full := map[string]string{
		"GOOGLE_CLOUD_PROJECT": s.project, "ADMIN_ADDR": "127.0.0.1:0", "CLUSTER": "main", "NAMESPACES": s.namespace + "=etl",
		"KUBECONFIG": os.Getenv("KUBECONFIG"), "FIRESTORE_TIMEOUT": "20s", "MISSING_AFTER": "0s", "OUTPUT": "json", "LOG_LEVEL": "info",
		"SLACK_API_URL": os.Getenv("SLACK_API_URL"),
	}
	maps.Copy(full, env)
	if full["RULES"] == "" {
		full["RULES"] = s.rules()
	}
	var out, errs bytes.Buffer
	p := process{lookup: lookup(full), stdout: &out, stderr: &errs, logClients: func(zerolog.Logger) {}}
	code = p.main(s.t.Context(), args)
	if out.Len() > 0 {
		if err := json.Unmarshal(out.Bytes(), &r); err != nil {
			s.t.Fatalf("%v:\n%s", err, out.String())
		}
	}
	return code, r, errs.String()
}

// rules are the built-in ones, but output counts a second after it was written.
func (s *system) rules() string {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), "rules.yaml")
	text := strings.Replace(string(builtin.DefaultsFile()), "settle: 2m", "settle: 1s", 1)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return file
}

// dump is every document of the database with the time of its last write.
func (s *system) dump() map[string]string {
	s.t.Helper()
	all := map[string]string{}
	s.walk(s.db.Collections(s.t.Context()), all)
	return all
}

func (s *system) walk(collections *firestore.CollectionIterator, into map[string]string) {
	s.t.Helper()
	for {
		c, err := collections.Next()
		if errors.Is(err, iterator.Done) {
			return
		}
		if err != nil {
			s.t.Fatal(err)
		}
		docs, err := c.Documents(s.t.Context()).GetAll()
		if err != nil {
			s.t.Fatal(err)
		}
		for _, d := range docs {
			into[d.Ref.Path] = d.UpdateTime.Format(time.RFC3339Nano)
			s.walk(d.Ref.Collections(s.t.Context()), into)
		}
	}
}

// outbox is how many messages wait for each topic.
func (s *system) outbox() map[string]int {
	s.t.Helper()
	page, err := s.records.PendingEntries(s.t.Context(), "", 300)
	if err != nil {
		s.t.Fatal(err)
	}
	counts := map[string]int{}
	for i := range page.Entries {
		counts[page.Entries[i].Topic]++
	}
	return counts
}

// heartbeat is the one of the last run.
func (s *system) heartbeat() jobstore.Heartbeat {
	s.t.Helper()
	beats, err := s.records.Heartbeats(s.t.Context(), serviceName)
	if err != nil || len(beats) != 1 {
		s.t.Fatalf("%d heartbeats, %v", len(beats), err)
	}
	return beats[0]
}

func (s *system) view(id string) job.View {
	s.t.Helper()
	stored, found, err := s.records.Get(s.t.Context(), id)
	if err != nil || !found {
		s.t.Fatalf("%s: found %v, %v", id, found, err)
	}
	return stored.Record.View()
}

// fates are action, reason and fate of each job.
func fates(r *report.Report) map[string]string {
	out := map[string]string{}
	for _, it := range r.Items {
		out[it.JobID] = it.Action + " " + it.Reason + " " + string(it.Fate)
	}
	return out
}

// fill makes one job of each kind.
func (s *system) fill() {
	s.t.Helper()
	s.kubernetes("gone", "u-gone")
	s.kubernetes("marked", "u-marked")
	s.mark("marked", "u-marked")
	settled := time.After(1100 * time.Millisecond) // by the rule; a marker cannot be dated back
	s.kubernetes("alive", s.createJob("alive"))
	s.backend("silent")
	s.createJob("stray")
	<-settled
}

// receive takes so many messages and returns their jobs, sorted.
func receive(t *testing.T, broker *pubsub.Client, subscription string, n int) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	jobs := make(chan string, 100)
	done := make(chan error, 1)
	receiving, stop := context.WithCancel(ctx)
	go func() {
		done <- broker.Subscriber(subscription).Receive(receiving, func(_ context.Context, m *pubsub.Message) {
			jobs <- m.Attributes["job_id"]
			m.Ack()
		})
	}()
	seen := map[string]bool{}
	for len(seen) < n {
		select {
		case id := <-jobs:
			seen[id] = true
		case <-ctx.Done():
			t.Fatalf("%s: %d of %d messages: %v", subscription, len(seen), n, seen)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	return slices.Sorted(maps.Keys(seen))
}
