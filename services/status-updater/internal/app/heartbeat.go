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
	log      zerolog.Logger
}

func (h *heart) run(ctx context.Context) error {
	ticker := time.NewTicker(h.every)
	defer ticker.Stop()
	for {
		if err := h.to.Beat(ctx, h.beat()); err != nil && ctx.Err() == nil {
			h.log.Warn().Err(err).Msg("heartbeat not written")
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (h *heart) beat() jobstore.Heartbeat {
	return jobstore.Heartbeat{
		Service: serviceName, Instance: h.instance, Version: h.version, At: h.progress.now(),
		ProgressAt: h.progress.lastDone(), InHand: h.progress.inHand.Load(),
	}
}
