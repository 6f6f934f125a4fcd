package demo

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"cloud.google.com/go/firestore"

	"github.com/envision/resiliency/test/stack"
)

//go:embed recovery.yaml
var recoveryRules []byte

const (
	// runEvery is the time between two runs of recovery-job: an hour in production.
	runEvery = 2 * time.Second
	// runWithin bounds one run.
	runWithin = 30 * time.Second
	// settledWithin bounds the wait for what the runs have to bring about.
	settledWithin = 45 * time.Second
)

// recovery runs recovery-job as a CronJob does.
type recovery struct {
	project *stack.Project
	client  *firestore.Client
	spec    stack.ServiceSpec
}

func newRecovery(s *stack.Stack, p *stack.Project, client *firestore.Client, binDir string) (*recovery, error) {
	rules := filepath.Join(s.Dir(), "recovery.yaml")
	if err := os.WriteFile(rules, recoveryRules, 0o644); err != nil {
		return nil, fmt.Errorf("write the rules of recovery-job: %w", err)
	}
	r := &recovery{project: p, client: client, spec: stack.RecoveryJob(binDir)}
	r.spec.Args = []string{"run", "--rules=" + rules}
	return r, nil
}

// run makes one run; it is an error if that leaves a job without a verdict.
func (r *recovery) run(ctx context.Context) error {
	run, err := r.project.StartRun(r.spec)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, runWithin)
	defer cancel()
	ended, err := run.Wait(ctx)
	if err == nil && ended.ExitCode != 0 {
		err = fmt.Errorf("recovery-job ended with code %d; log: %s", ended.ExitCode, run.LogPath())
	}
	return err
}

// until makes run after run until something has come about.
func (r *recovery) until(ctx context.Context, what string, done func(ctx context.Context) (bool, error)) error {
	return await(ctx, what, runEvery, settledWithin, func(ctx context.Context) (bool, error) {
		if ok, err := done(ctx); ok || err != nil {
			return ok, err
		}
		if err := r.run(ctx); err != nil {
			return false, err
		}
		return done(ctx)
	})
}

// await asks again and again until it is done.
func await(ctx context.Context, what string, every, within time.Duration, done func(ctx context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("it took more than %s", within))
	defer cancel()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		if ok, err := done(ctx); ok || err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, context.Cause(ctx))
		}
	}
}

// shown is what the demo waits for in a job's record.
type shown struct {
	state, stage, uid string
	delayed           bool
	resumes           int64
}

// all asks whether each of these jobs has a record that is as wanted.
func (r *recovery) all(jobs []string, want func(shown) bool) func(context.Context) (bool, error) {
	refs := make([]*firestore.DocumentRef, len(jobs))
	for i, id := range jobs {
		refs[i] = r.client.Collection("jobs").Doc(id)
	}
	return func(ctx context.Context) (bool, error) {
		docs, err := r.client.GetAll(ctx, refs)
		if err != nil {
			return false, fmt.Errorf("read the records of %v: %w", jobs, err)
		}
		for _, doc := range docs {
			if !doc.Exists() || !want(read(doc.Data())) {
				return false, nil
			}
		}
		return true, nil
	}
}

func read(record map[string]any) shown {
	var s shown
	s.state, _ = record["state"].(string)
	s.stage, _ = record["stage"].(string)
	s.delayed, _ = record["delayed"].(bool)
	if k, ok := record["kubernetes"].(map[string]any); ok {
		s.uid, _ = k["uid"].(string)
	}
	if recovery, ok := record["recovery"].(map[string]any); ok {
		s.resumes, _ = recovery["resumes"].(int64)
	}
	return s
}
