package logsink

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
)

// rewatchAfter is the pause before a watch that ended is begun again.
const rewatchAfter = 200 * time.Millisecond

// eventSource turns Events into entries. Like the real exporter it has no
// memory: what was there before it began to watch is not exported, and when the
// API server no longer knows its place, what happened in between is lost.
type eventSource struct {
	sink    *Sink
	client  kubernetes.Interface
	owners  *owners
	dice    *dice
	version string        // where to go on watching
	seen    atomic.Uint64 // the same, for Drain
}

// AddEvents begins to export the Events of all namespaces. Whatever happens
// after it has returned is exported, even if the sink runs only later.
func (s *Sink) AddEvents(ctx context.Context, client kubernetes.Interface) error {
	e := &eventSource{sink: s, client: client, owners: newOwners(client), dice: s.cfg.Faults.dice("events")}
	if err := e.begin(ctx); err != nil {
		return err
	}
	return s.start(e)
}

// begin takes the present as the place to watch from. One item is enough: only
// the list's own version matters.
func (e *eventSource) begin(ctx context.Context) error {
	list, err := e.client.CoreV1().Events(metav1.NamespaceAll).List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return fmt.Errorf("list Events to watch them: %w", err)
	}
	e.at(list.ResourceVersion)
	return nil
}

func (e *eventSource) at(version string) {
	e.version = version
	if n, err := strconv.ParseUint(version, 10, 64); err == nil && n > e.seen.Load() {
		e.seen.Store(n)
	}
	e.sink.changed.fire()
}

func (e *eventSource) run(ctx context.Context) error {
	e.started()
	for ctx.Err() == nil {
		err := e.watch(ctx)
		if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
			if err = e.begin(ctx); err == nil {
				e.sink.count(func(c *Counts) { c.Gaps++ })
				e.started()
			}
		}
		if err != nil && ctx.Err() == nil {
			e.sink.cfg.Log.Warn().Err(err).Msg("the watch of Events ended; trying again")
		}
		select {
		case <-ctx.Done():
		case <-time.After(rewatchAfter):
		}
	}
	return nil
}

func (e *eventSource) started() {
	e.sink.write(e.dice, e.sink.cfg.Place.entryOfStart(), nil)
}

// watch exports until the API server ends the watch, which it does every few
// minutes.
func (e *eventSource) watch(ctx context.Context) error {
	w, err := e.client.CoreV1().Events(metav1.NamespaceAll).Watch(ctx, metav1.ListOptions{
		ResourceVersion: e.version, AllowWatchBookmarks: true,
	})
	if err != nil {
		return fmt.Errorf("watch Events: %w", err)
	}
	defer w.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case change, ok := <-w.ResultChan():
			if !ok {
				return nil
			}
			if change.Type == watch.Error {
				return fmt.Errorf("watch Events: %w", apierrors.FromObject(change.Object))
			}
			event, ok := change.Object.(*corev1.Event)
			if !ok {
				return errors.New("watch Events: another object came")
			}
			if change.Type == watch.Added || change.Type == watch.Modified {
				e.export(ctx, event)
			}
			e.at(event.ResourceVersion)
		}
	}
}

func (e *eventSource) export(ctx context.Context, event *corev1.Event) {
	s := e.sink
	s.count(func(c *Counts) { c.Events++ })
	entry, err := s.cfg.Place.entryOfEvent(event)
	if err != nil {
		s.cfg.Log.Warn().Err(err).Msg("an Event has no entry")
		return
	}
	passed := s.write(e.dice, entry, func() map[string]string { return e.owners.labels(ctx, event) })
	if passed {
		s.keep(event)
	}
}

// caughtUp waits until every Event that the API server holds now was exported.
// Events die out of order, so all of them are looked at for the newest.
func (e *eventSource) caughtUp(ctx context.Context) error {
	var newest uint64
	options := metav1.ListOptions{Limit: 500}
	for {
		list, err := e.client.CoreV1().Events(metav1.NamespaceAll).List(ctx, options)
		if err != nil {
			return fmt.Errorf("list Events to see what must be exported: %w", err)
		}
		for i := range list.Items {
			if n, err := strconv.ParseUint(list.Items[i].ResourceVersion, 10, 64); err == nil {
				newest = max(newest, n)
			}
		}
		if options.Continue = list.Continue; options.Continue == "" {
			break
		}
	}
	return e.sink.await(ctx, func() bool { return e.seen.Load() >= newest })
}
