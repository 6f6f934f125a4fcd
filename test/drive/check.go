package drive

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cloud.google.com/go/firestore"
	"google.golang.org/api/iterator"
)

// record is the part of a raw document that a check reads.
type record struct {
	state, cause, uid, evidence string
	attempt                     int64
}

// records reads all job documents as they are.
func records(ctx context.Context, client *firestore.Client) (map[string]record, error) {
	all := map[string]record{}
	docs := client.Collection("jobs").Documents(ctx)
	defer docs.Stop()
	for {
		doc, err := docs.Next()
		if errors.Is(err, iterator.Done) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("list job records: %w", err)
		}
		data := doc.Data()
		r := record{}
		r.state, _ = data["state"].(string)
		r.cause, _ = data["cause"].(string)
		r.attempt, _ = data["attempt"].(int64)
		if k, ok := data["kubernetes"].(map[string]any); ok {
			r.uid, _ = k["uid"].(string)
		}
		if v, ok := data["verdict"].(map[string]any); ok {
			r.evidence, _ = v["evidence"].(string)
		}
		all[doc.Ref.ID] = r
	}
}

func terminal(state string) bool {
	return state == Succeeded || state == Failed || state == Cancelled
}

// judge compares one record with what was declared and with what Kubernetes
// says. lost means that there is no record, or one that has not ended.
func judge(p planned, fact Fact, r record, found bool) (verdict, problem string) {
	if p.scenario.Stays {
		fact.State = p.scenario.Expected
	}
	attempt := max(p.scenario.Attempt, 1)
	switch {
	case !found:
		return "lost", "no record"
	case !terminal(r.state):
		return "lost", fmt.Sprintf("the record still says %s", r.state)
	case fact.State != p.scenario.Expected:
		return "wrong", fmt.Sprintf("Kubernetes says %s, the scenario declared %s", fact.State, p.scenario.Expected)
	case r.state != fact.State:
		return "wrong", fmt.Sprintf("the record says %s, Kubernetes %s", r.state, fact.State)
	case r.uid != fact.UID:
		return "wrong", fmt.Sprintf("the record names uid %q, Kubernetes %q", r.uid, fact.UID)
	case r.attempt != attempt:
		return "wrong", fmt.Sprintf("the record says attempt %d instead of %d", r.attempt, attempt)
	case p.scenario.Cause != "" && r.cause != p.scenario.Cause:
		return "wrong", fmt.Sprintf("the record gives cause %q, the pods died of %s", r.cause, p.scenario.Cause)
	case p.scenario.Evidence != "" && r.evidence != p.scenario.Evidence:
		return "wrong", fmt.Sprintf("the verdict rests on %q instead of %s", r.evidence, p.scenario.Evidence)
	default:
		return "correct", ""
	}
}

// Check compares every record with the truth, once.
func (d *Driver) Check(ctx context.Context, client *firestore.Client) (*Report, error) {
	found, err := records(ctx, client)
	if err != nil {
		return nil, err
	}
	facts := d.truth.Facts()
	report := newReport(d.plan.Scenarios)
	for _, p := range d.jobs {
		r, ok := found[p.name]
		verdict, problem := judge(p, facts[p.name], r, ok)
		report.add(p, verdict, problem)
	}
	return report, nil
}

// Settle checks again and again until every record is right or patience is
// over, and returns the last report: records may trail the cluster by a moment.
func (d *Driver) Settle(ctx context.Context, client *firestore.Client, patience time.Duration) (*Report, error) {
	deadline := time.Now().Add(patience)
	for {
		begun := time.Now()
		report, err := d.Check(ctx, client)
		if err != nil || report.Right() || time.Now().After(deadline) {
			return report, err
		}
		select {
		// To read thousands of records takes the emulator time that the services need.
		case <-time.After(max(250*time.Millisecond, 4*time.Since(begun))):
		case <-ctx.Done():
			return report, fmt.Errorf("wait for the records: %w", context.Cause(ctx))
		}
	}
}
