package logsink

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// apiServer is the part of one that the exporter talks to.
type apiServer struct {
	*fake.Clientset
	version atomic.Int64
	items   atomic.Pointer[corev1.EventList]
	watches chan watched
	gets    atomic.Int64
}

// watched is a watch that was begun, and from where.
type watched struct {
	from string
	*watch.FakeWatcher
}

func newAPIServer(objects ...runtime.Object) *apiServer {
	a := &apiServer{Clientset: fake.NewClientset(objects...), watches: make(chan watched, 10)}
	a.items.Store(&corev1.EventList{})
	a.PrependReactor("list", "events", func(clienttesting.Action) (bool, runtime.Object, error) {
		list := a.items.Load().DeepCopy()
		list.ResourceVersion = fmt.Sprint(a.version.Load())
		return true, list, nil
	})
	a.PrependWatchReactor("events", func(action clienttesting.Action) (bool, watch.Interface, error) {
		w := watched{action.(clienttesting.WatchActionImpl).ListOptions.ResourceVersion, watch.NewFakeWithOptions(watch.FakeOptions{ChannelSize: 10})}
		a.watches <- w
		return true, w.FakeWatcher, nil
	})
	a.PrependReactor("get", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
		a.gets.Add(1)
		return false, nil, nil
	})
	return a
}

func jobEvent(version int, uid types.UID, reason string) *corev1.Event {
	return &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: "etl", Name: fmt.Sprintf("e%d", version), UID: "e", ResourceVersion: fmt.Sprint(version)},
		InvolvedObject: corev1.ObjectReference{Kind: "Job", Namespace: "etl", Name: "job-" + string(uid), UID: uid},
		Reason:         reason, Type: "Normal", LastTimestamp: metav1.Now(),
	}
}

func podEvent(version int, pod, reason string) *corev1.Event {
	event := jobEvent(version, types.UID("uid-"+pod), reason)
	event.InvolvedObject = corev1.ObjectReference{Kind: "Pod", Namespace: "etl", Name: pod, UID: types.UID("uid-" + pod)}
	return event
}

// reasons are those of the Events that came, with the resource's type.
func (r *recorder) reasons() []string {
	var reasons []string
	for _, a := range r.got {
		reasons = append(reasons, fmt.Sprint(a.entry.Resource.Type, " ", a.entry.JSONPayload["reason"]))
	}
	return reasons
}

// exporting runs a sink with the real filter on an API server.
func exporting(t *testing.T, api *apiServer) (*Sink, *recorder) {
	t.Helper()
	pub := &recorder{}
	s, err := newSink(Config{Place: place, Filter: sinkFilter(t)}, pub)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.AddEvents(t.Context(), api); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s, pub
}

func TestEvents_are_exported_as_they_come(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := newAPIServer()
		api.version.Store(5)
		api.items.Store(&corev1.EventList{Items: []corev1.Event{*jobEvent(4, "old", "Completed")}})
		s, pub := exporting(t, api)
		w := <-api.watches
		if w.from != "5" {
			t.Errorf("watched from %q, want 5", w.from)
		}
		w.Add(jobEvent(6, "a", "Completed"))
		w.Modify(jobEvent(7, "b", "SuccessfulCreate"))
		w.Modify(jobEvent(8, "b", "BackoffLimitExceeded"))
		w.Delete(jobEvent(9, "a", "Completed"))
		w.Add(podEvent(10, "p", "Scheduled"))
		other := jobEvent(11, "c", "Completed")
		other.InvolvedObject.Namespace = "prod"
		w.Add(other)
		api.items.Store(&corev1.EventList{Items: []corev1.Event{*other}})
		if err := s.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := []string{"k8s_cluster Completed", "k8s_cluster SuccessfulCreate", "k8s_cluster BackoffLimitExceeded"}
		if diff := cmp.Diff(want, pub.reasons()); diff != "" {
			t.Errorf("published (-want +got):\n%s", diff)
		}
		// The exporter's own first line is filtered out too.
		if c := s.Counts(); c.Events != 5 || c.FilteredOut != 3 || c.Published != 3 || c.Gaps != 0 {
			t.Errorf("counts %+v", c)
		}
		kept := []KeptEvent{
			{Namespace: "etl", Name: "job-a", UID: "a", Reason: "Completed"},
			{Namespace: "etl", Name: "job-b", UID: "b", Reason: "BackoffLimitExceeded"},
		}
		if diff := cmp.Diff(kept, s.KeptEvents()); diff != "" || !kept[0].Completed() || kept[1].Completed() {
			t.Errorf("kept (-want +got):\n%s", diff)
		}
	})
}

func TestEvents_after_a_lost_watch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := newAPIServer()
		api.version.Store(5)
		s, pub := exporting(t, api)
		w := <-api.watches
		w.Add(jobEvent(6, "a", "Completed"))
		w.Action(watch.Bookmark, &corev1.Event{ObjectMeta: metav1.ObjectMeta{ResourceVersion: "20"}})
		synctest.Wait()
		w.Stop() // as the API server does every few minutes
		w = <-api.watches
		if w.from != "20" {
			t.Errorf("watched from %q, want 20", w.from)
		}
		w.Error(&metav1.Status{Status: metav1.StatusFailure, Reason: metav1.StatusReasonInternalError, Code: 500})
		w = <-api.watches
		if w.from != "20" {
			t.Errorf("watched from %q after an error, want 20", w.from)
		}
		api.version.Store(90)
		api.items.Store(&corev1.EventList{Items: []corev1.Event{*jobEvent(80, "missed", "Completed")}})
		expired := apierrors.NewResourceExpired("too old resource version").Status()
		w.Error(&expired)
		w = <-api.watches
		if w.from != "90" {
			t.Errorf("watched from %q after it expired, want 90", w.from)
		}
		w.Add(jobEvent(91, "b", "Completed"))
		synctest.Wait()
		if err := s.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if c := s.Counts(); c.Events != 2 || c.Published != 2 || c.Gaps != 1 || len(pub.got) != 2 {
			t.Errorf("counts %+v", c)
		}
	})
}

func TestEvents_of_pods_name_their_controller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
			Namespace: "etl", Name: "p", UID: "uid-p",
			OwnerReferences: []metav1.OwnerReference{{Kind: "Job", Name: "etl-42", Controller: new(true)}},
		}}
		api := newAPIServer(pod)
		api.version.Store(5)
		s, pub := exporting(t, api)
		w := <-api.watches
		w.Add(podEvent(6, "p", "Pulled"))
		w.Add(podEvent(7, "p", "Evicted"))
		w.Add(podEvent(8, "p", "Preempted"))
		w.Add(podEvent(9, "gone", "Evicted"))
		reborn := podEvent(10, "p", "Failed")
		reborn.InvolvedObject.UID = "another"
		w.Add(reborn)
		synctest.Wait()
		if err := s.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, a := range pub.got {
			got = append(got, a.entry.Labels[LabelControllerType]+"/"+a.entry.Labels[LabelControllerName])
		}
		if diff := cmp.Diff([]string{"Job/etl-42", "Job/etl-42", "/", "/"}, got); diff != "" {
			t.Errorf("controllers (-want +got):\n%s", diff)
		}
		// Nothing is asked for what is filtered out, and once only for what is known.
		if gets := api.gets.Load(); gets != 3 {
			t.Errorf("%d pods were asked for, want 3", gets)
		}
	})
}

func TestAddEvents_needs_an_API_server(t *testing.T) {
	t.Parallel()
	api := fake.NewClientset()
	api.PrependReactor("list", "events", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(corev1.Resource("events"), "", nil)
	})
	s, err := newSink(Config{Place: place, Filter: anyText}, &recorder{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := s.AddEvents(ctx, api); !apierrors.IsForbidden(err) {
		t.Errorf("error %v", err)
	}
}
