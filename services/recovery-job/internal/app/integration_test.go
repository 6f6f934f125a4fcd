//go:build integration

package app

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/jobstore/leases"
	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/services/recovery-job/internal/report"
)

func TestIntegration_PlanChangesNothing(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.fill()
	before := s.dump()
	code, r, log := s.run(nil, "plan")
	if code != 0 || !r.Plan || r.Read != 4 {
		t.Fatalf("exit code %d, %+v\n%s", code, r, log)
	}
	want := map[string]string{
		"gone": "fail GONE planned", "marked": "succeed MARKER planned", "silent": "leave PIPELINE_SILENT left",
		"alive": "adopt NEWS planned", "stray": "create record NO_RECORD planned",
	}
	if diff := cmp.Diff(want, fates(&r)); diff != "" {
		t.Errorf("fates (-want +got):\n%s\n%s", diff, log)
	}
	if diff := cmp.Diff(before, s.dump()); diff != "" {
		t.Errorf("a plan has written (-before +after):\n%s", diff)
	}
}

// Nothing but Firestore, the cluster and the bucket is there: no topic, no other
// service.
func TestIntegration_RunWithoutPubSub(t *testing.T) {
	t.Setenv("PUBSUB_EMULATOR_HOST", "127.0.0.1:1")
	s := newSystem(t)
	s.fill()
	code, r, log := s.run(nil, "run")
	if code != 0 || r.State != report.Done || r.Silent == "" {
		t.Fatalf("exit code %d, %+v\n%s", code, r, log)
	}
	want := map[string]string{
		"gone": "fail GONE written", "marked": "succeed MARKER written", "silent": "leave PIPELINE_SILENT left",
		"alive": "adopt NEWS written", "stray": "create record NO_RECORD written",
	}
	if diff := cmp.Diff(want, fates(&r)); diff != "" {
		t.Errorf("fates (-want +got):\n%s\n%s", diff, log)
	}
	for id, state := range map[string]job.State{
		"gone": job.StateFailed, "marked": job.StateSucceeded, "alive": job.StateSuspended, "silent": job.StateRunning, "stray": job.StateSuspended,
	} {
		if v := s.view(id); v.State != state {
			t.Errorf("%s is %s", id, job.StateName(v.State))
		}
	}
	if v := s.view("gone"); v.Evidence != job.EvidenceAbsence || !strings.Contains(v.Detail, "GONE") || v.Final {
		t.Errorf("verdict %+v", v)
	}
	if got := s.outbox(); got["job-updates"] != 2 || got["job-phases"] != 3 {
		t.Errorf("the outbox holds %v", got)
	}
	if !strings.Contains(log, `"message":"recovery run ended"`) || !strings.Contains(log, "Recovery: 4 jobs settled") {
		t.Errorf("log:\n%s", log)
	}
	s.checkTraces(r.RunID)
	// The next run finds all of it done.
	code, r, log = s.run(nil, "run")
	got := fates(&r)
	delete(got, "silent")
	if code != 0 || len(got) > 0 {
		t.Errorf("exit code %d, again: %v\n%s", code, got, log)
	}
}

// checkTraces looks for what a run leaves behind for those who watch runs.
func (s *system) checkTraces(runID string) {
	s.t.Helper()
	run, err := s.db.Collection("recovery_runs").Doc(runID).Get(s.t.Context())
	if err != nil || run.Data()["state"] != "DONE" {
		s.t.Errorf("run on record: %v, %v", run, err)
	}
	beats, err := s.records.Heartbeats(s.t.Context(), serviceName)
	if err != nil || len(beats) != 1 || beats[0].Instance != "main" || beats[0].ProgressAt.IsZero() {
		s.t.Errorf("heartbeats %+v, %v", beats, err)
	}
	lease, err := s.db.Collection(leases.Collection).Doc(serviceName + ".main").Get(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	if until, ok := lease.Data()["until"].(time.Time); !ok || until.After(time.Now()) {
		s.t.Errorf("the lease is held until %s", until)
	}
}

func TestIntegration_RunSendsWhatItDecides(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	broker, err := messaging.NewClient(t.Context(), s.project)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := broker.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := topology.Provision(t.Context(), broker, s.project, topology.Local); err != nil {
		t.Fatal(err)
	}
	if err := s.records.Beat(t.Context(), jobstore.Heartbeat{
		Service: watched, Instance: "one", At: time.Now(), Every: time.Minute, Receiving: true,
	}); err != nil {
		t.Fatal(err)
	}
	s.fill()
	code, r, log := s.run(nil, "run")
	if code != 0 || fates(&r)["silent"] != "resume RESUME written" {
		t.Fatalf("exit code %d, %v\n%s", code, fates(&r), log)
	}
	if got := s.outbox(); len(got) > 0 {
		t.Errorf("the outbox holds %v", got)
	}
	got := receive(t, broker, topology.SubscriptionJobUpdatesProduct, 2)
	if !slices.Equal(got, []string{"gone", "marked"}) {
		t.Errorf("updates of %v", got)
	}
	if got := receive(t, broker, topology.SubscriptionJobCommandsProduct, 1); !slices.Equal(got, []string{"silent"}) {
		t.Errorf("commands to %v", got)
	}
	if got := receive(t, broker, topology.SubscriptionJobPhasesPhaseTracer, 4); !slices.Equal(got, []string{"alive", "gone", "marked", "silent"}) {
		t.Errorf("phases of %v", got)
	}
	// It was asked for once; until the command expires there is nothing more to do.
	code, r, log = s.run(nil, "run", "--only=silent")
	stored, _, err := s.records.Get(t.Context(), "silent")
	if code != 0 || fates(&r)["silent"] != "leave RESUMING left" || err != nil || stored.Meta.Recovery.Resumes != 1 {
		t.Errorf("exit code %d, %v, %+v, %v\n%s", code, fates(&r), stored.Meta.Recovery, err, log)
	}
}

func TestIntegration_AnotherRunGoesOn(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.kubernetes("gone", "u-gone")
	store := leases.New(s.db, leases.Config{TTL: time.Hour, Timeout: patience})
	lease, err := store.Acquire(t.Context(), serviceName+".main", "another")
	if err != nil {
		t.Fatal(err)
	}
	code, r, log := s.run(map[string]string{"LEASE_WAIT": "100ms"}, "run")
	if code != 1 || r.RunID != "" || !strings.Contains(log, "held by another") || s.view("gone").State != job.StateRunning {
		t.Errorf("exit code %d, %+v\n%s", code, r, log)
	}
	if err := lease.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if code, r, log := s.run(nil, "run"); code != 0 || fates(&r)["gone"] != "fail GONE written" {
		t.Errorf("exit code %d, %v\n%s", code, fates(&r), log)
	}
}

// Where the cluster does not answer nothing is concluded, and the exit code says
// so.
func TestIntegration_ClusterIsGone(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	if code, r, log := s.run(nil, "run"); code != 0 || r.State != report.Done {
		t.Fatalf("a run with nothing to do: exit code %d, %+v\n%s", code, r, log)
	}
	settled := s.heartbeat()
	s.kubernetes("gone", "u-gone")
	before, _, err := s.records.Get(t.Context(), "gone")
	if err != nil {
		t.Fatal(err)
	}
	config := t.TempDir() + "/kubeconfig"
	text := `{"apiVersion":"v1","kind":"Config","current-context":"c","contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}],` +
		`"clusters":[{"name":"c","cluster":{"server":"http://127.0.0.1:1"}}],"users":[{"name":"u","user":{}}]}`
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	code, r, log := s.run(map[string]string{"KUBECONFIG": config, "PROBE_TIMEOUT": "2s"}, "run")
	if code != 1 || fates(&r)["gone"] != "cannot judge CLUSTER_UNAVAILABLE unjudged" || !strings.Contains(log, "not every job could be judged") {
		t.Errorf("exit code %d, %v\n%s", code, fates(&r), log)
	}
	after, _, err := s.records.Get(t.Context(), "gone")
	if err != nil || !after.UpdateTime.Equal(before.UpdateTime) || len(s.outbox()) > 0 {
		t.Errorf("something was written, %v", err)
	}
	// The heartbeat is of this run, which leaves the job and the list of labelled Jobs;
	// its progress is that of the run before.
	if h := s.heartbeat(); settled.ProgressAt.IsZero() || !h.ProgressAt.Equal(settled.ProgressAt) || !h.At.After(settled.At) || h.InHand != 2 {
		t.Errorf("heartbeat %+v after %+v", h, settled)
	}
}
