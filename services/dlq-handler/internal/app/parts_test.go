package app

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/envision/resiliency/pkg/messaging"
)

func TestProgress(t *testing.T) {
	t.Parallel()
	now, waiting := time.Now(), false
	p := &progress{now: func() time.Time { return now }, waiting: func() bool { return waiting }}
	err := p.track(func(context.Context, messaging.RawMessage) error {
		if err := p.live(); err != nil {
			t.Errorf("a letter that has just come: %v", err)
		}
		now = now.Add(stuckAfter + time.Second)
		if p.live() == nil {
			t.Error("a stuck process is taken to be alive")
		}
		waiting = true
		if err := p.live(); err != nil {
			t.Errorf("while it waits for Firestore: %v", err)
		}
		return nil
	})(t.Context(), messaging.RawMessage{})
	waiting = false
	if err != nil || p.live() != nil {
		t.Errorf("a quiet process: %v, %v", err, p.live())
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	now, fault := time.Now(), error(nil)
	begin := now
	h := newHealth(map[string]func(context.Context) error{"firestore": func(context.Context) error { return fault }},
		func() time.Time { return now })
	now = now.Add(time.Minute)
	h.look(t.Context())
	if since, ok := h.HealthySince("firestore"); !ok || !since.Equal(begin) {
		t.Errorf("healthy since %s, %t", since, ok)
	}
	fault = errors.New("no answer")
	h.look(t.Context())
	if _, ok := h.HealthySince("firestore"); ok {
		t.Error("healthy while it does not answer")
	}
	fault = nil
	h.look(t.Context())
	now = now.Add(time.Hour)
	h.look(t.Context())
	if since, ok := h.HealthySince("firestore"); !ok || !since.Equal(begin.Add(time.Minute)) {
		t.Errorf("healthy since %s, %t", since, ok)
	}
	if _, ok := h.HealthySince("somebody else's"); !ok {
		t.Error("a dependency that nobody knows is taken to be down")
	}
}
