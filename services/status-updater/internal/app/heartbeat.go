package app

import (
	"context"
	"time"

	"github.com/rs/zerolog"

	"github.com/envision/resiliency/pkg/jobstore"
)

// beater writes heartbeats.
type beater interface {
	Beat(ctx context.Context, h jobstore.Heartbeat) error
}

// heart writes a heartbeat at once and then every so often until ctx ends. One
// that cannot be written is no reason to end: the next one may.
type heart struct {
	to       beater
	every    time.Duration
	instance string
	version  string
	progress *progress
	// receiving is nil while every subscription is being pulled.
	receiving func(ctx context.Context) error
	log       zerolog.Logger
}

func (h *heart) run(ctx context.Context) error {
	ticker := time.NewTicker(h.every)
	defer ticker.Stop()
	for {
		if err := h.to.Beat(ctx, h.beat(ctx)); err != nil && ctx.Err() == nil {
			h.log.Warn().Err(err).Msg("heartbeat not written")
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (h *heart) beat(ctx context.Context) jobstore.Heartbeat {
	return jobstore.Heartbeat{
		Service: serviceName, Instance: h.instance, Version: h.version, At: h.progress.now(), Every: h.every,
		ProgressAt: h.progress.lastDone(), InHand: h.progress.inHand.Load(),
		BacklogAge: h.progress.backlogAge(), Receiving: h.receiving(ctx) == nil,
	}
}
