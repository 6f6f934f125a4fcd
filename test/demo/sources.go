package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/test/drive"
	"github.com/envision/resiliency/test/stack"
)

const (
	// updater is the service that compares the sources, claims how it counts them.
	updater = "status-updater"
	claims  = "status_updater_source_claims_total"
	// sourcesPatience bounds the wait for the log, which comes late.
	sourcesPatience = 15 * time.Second
)

// sources counts who told of the facts, once the log has brought its share.
// That it never does is no failure: the records are right without it, and the
// count shows what is missing.
func sources(ctx context.Context, s *stack.Stack, p *stack.Project, sink *stack.LogSink) ([]drive.SourceReport, error) {
	waiting, cancel := context.WithTimeout(ctx, sourcesPatience)
	defer cancel()
	if err := awaitLog(waiting, s, p, sink); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return nil, err
	}
	for _, process := range p.Processes() {
		if process.Name() != updater {
			continue
		}
		metrics, err := process.Metrics(ctx)
		if err != nil {
			return nil, err
		}
		return perSource(metrics[claims]), nil
	}
	return nil, fmt.Errorf("count what each source told: no service %s", updater)
}

// awaitLog returns once everything that was logged has been acknowledged.
func awaitLog(ctx context.Context, s *stack.Stack, p *stack.Project, sink *stack.LogSink) error {
	if err := sink.Drain(ctx); err != nil {
		return err
	}
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		counts := s.PubSub.Counts(p.ID)
		if counts.Acked[topology.SubscriptionJobLogEntriesStatusUpdater] >= counts.Published[topology.TopicJobLogEntries] {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// perSource sorts the counter's series by source, who came first most often first.
func perSource(family *dto.MetricFamily) []drive.SourceReport {
	var reports []drive.SourceReport
	for _, m := range family.GetMetric() {
		labels := map[string]string{}
		for _, pair := range m.GetLabel() {
			labels[pair.GetName()] = pair.GetValue()
		}
		at := slices.IndexFunc(reports, func(r drive.SourceReport) bool { return r.Source == labels["source"] })
		if at < 0 {
			at = len(reports)
			reports = append(reports, drive.SourceReport{Source: labels["source"]})
		}
		if n := int(m.GetCounter().GetValue()); labels["result"] == "first" {
			reports[at].First += n
		} else {
			reports[at].Again += n
		}
	}
	slices.SortFunc(reports, func(a, b drive.SourceReport) int {
		return cmp.Or(cmp.Compare(b.First, a.First), cmp.Compare(a.Source, b.Source))
	})
	return reports
}
