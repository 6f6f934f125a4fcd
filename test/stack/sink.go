package stack

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"cloud.google.com/go/pubsub/v2"
	"github.com/rs/zerolog"

	"github.com/envision/resiliency/test/stack/logsink"
)

// SinkLocation is the cluster's location in log entries.
const SinkLocation = "local"

// SinkSpec says what a log sink lets through, and how badly.
type SinkSpec struct {
	// FilterFile is the path of logsink.FilterFile from here; required.
	FilterFile string
	// Witness is the container that GKE would run the log witness in; required.
	Witness logsink.Container
	// Faults are what goes wrong on purpose.
	Faults logsink.Faults
	// Log takes what goes wrong by itself.
	Log zerolog.Logger
}

// LogSink is a log sink that runs in this process.
type LogSink struct {
	*logsink.Sink

	stop func() error
}

// StartLogSink starts a sink from the Events of the cluster to the project's
// topic job-log-entries. Events are carried from now on; files are added to it.
// It ends with Stop, at the latest with the project.
func (p *Project) StartLogSink(ctx context.Context, spec SinkSpec) (*LogSink, error) {
	filter, err := logsink.ReadFilter(spec.FilterFile, logsink.FilterValues{
		Cluster: ClusterName, Location: SinkLocation, Namespaces: p.watched(),
		WitnessNamespace: spec.Witness.Namespace, WitnessContainer: spec.Witness.Name,
	})
	if err != nil {
		return nil, fmt.Errorf("log sink of project %s: %w", p.ID, err)
	}
	client, err := p.PubSub(ctx)
	if err != nil {
		return nil, err
	}
	sink, err := logsink.New(logsink.Config{
		Place:  logsink.Place{ProjectID: p.ID, Cluster: ClusterName, Location: SinkLocation},
		Client: client, Filter: filter, Faults: spec.Faults, Log: spec.Log,
	})
	if err == nil {
		err = sink.AddEvents(ctx, p.stack.kube)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("log sink of project %s: %w", p.ID, err), client.Close())
	}
	l := &LogSink{Sink: sink, stop: runSink(context.WithoutCancel(ctx), sink, client)}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sinks = append(p.sinks, l)
	return l, nil
}

// runSink returns how to end it.
func runSink(ctx context.Context, sink *logsink.Sink, client *pubsub.Client) func() error {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- sink.Run(ctx) }()
	return sync.OnceValue(func() error {
		cancel()
		return errors.Join(<-ended, client.Close())
	})
}

// watched are the project's namespaces, without their tenants.
func (p *Project) watched() []string {
	names := make([]string, len(p.namespaces))
	for i, pair := range p.namespaces {
		names[i], _, _ = strings.Cut(pair, "=")
	}
	return names
}

// Follow carries the log of a process, all of it, as the output of a container.
func (l *LogSink) Follow(process *Process, container logsink.Container) error {
	return l.AddFile(logsink.File{Path: process.LogPath(), Stream: logsink.Stderr, Container: container})
}

// Stop ends the sink; what it had not published is lost. A second call returns
// what the first did.
func (l *LogSink) Stop() error { return l.stop() }
