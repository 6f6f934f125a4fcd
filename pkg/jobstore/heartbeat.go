package jobstore

import (
	"context"
	"fmt"
	"time"
)

// Heartbeat says that one process of a service is at work. recovery-job reads
// them: silence of a job counts only while the pipeline could have spoken.
type Heartbeat struct {
	// Service is the name of the service.
	Service string
	// Instance and Version name the process that writes.
	Instance, Version string
	// At is when it was written, and Every after how long the next one is due.
	At    time.Time
	Every time.Duration
	// ProgressAt is when the process last finished a piece of its work; zero
	// when it has had none yet.
	ProgressAt time.Time
	// InHand is how many pieces of work it has in hand.
	InHand int64
	// BacklogAge is the age of the oldest message that it had in hand since its
	// last heartbeat; 0 when it had none.
	BacklogAge time.Duration
	// Receiving says that every one of its subscriptions is being pulled.
	Receiving bool
}

// heartbeatLife is how long the heartbeat of a process that ended is kept, by
// the TTL policy on its field expire_at.
const heartbeatLife = 24 * time.Hour

// collectionInstances is where the processes of one service write theirs.
func collectionInstances(service string) string {
	return collectionHeartbeats + "/" + service + "/instances"
}

// Beat writes a heartbeat over the one before it: heartbeats/{service} is
// whoever wrote last, and in instances below it each process has its own, since
// one that is behind must not be hidden by one that is not.
func (s *Store) Beat(ctx context.Context, h Heartbeat) error {
	fields := map[string]any{
		"instance": h.Instance, "version": h.Version, "at": h.At.UTC(), "every_seconds": h.Every.Seconds(),
		"progress_at": timeField(h.ProgressAt.UTC()), "in_hand": h.InHand,
		"backlog_age_seconds": h.BacklogAge.Seconds(), "receiving": h.Receiving,
		"expire_at": h.At.UTC().Add(heartbeatLife),
	}
	_, err := s.db.commit(ctx, []write{
		{kind: writeSet, collection: collectionHeartbeats, id: h.Service, fields: fields},
		{kind: writeSet, collection: collectionInstances(h.Service), id: h.Instance, fields: fields},
	})
	if err != nil {
		return fmt.Errorf("write heartbeat of %s: %w", h.Service, err)
	}
	return nil
}

// heartbeatPage is how many heartbeats are read at once.
const heartbeatPage = 500

// Heartbeats returns the last heartbeat of every process that a service has had
// within a day, dead ones included: At tells.
func (s *Store) Heartbeats(ctx context.Context, service string) ([]Heartbeat, error) {
	var all []Heartbeat
	for after := ""; ; {
		docs, err := s.db.list(ctx, collectionInstances(service), after, heartbeatPage)
		if err != nil {
			return nil, fmt.Errorf("read heartbeats of %s: %w", service, err)
		}
		for i := range docs {
			h, err := readHeartbeat(service, docs[i].fields)
			if err != nil {
				return nil, fmt.Errorf("read heartbeat of %s, process %s: %w", service, docs[i].id, err)
			}
			all = append(all, h)
		}
		// Processes that crash again and again leave more than a page in a day.
		if len(docs) < heartbeatPage {
			return all, nil
		}
		after = docs[len(docs)-1].id
	}
}

func readHeartbeat(service string, fields map[string]any) (Heartbeat, error) {
	r := &reader{fields: fields}
	h := Heartbeat{
		Service: service, Instance: r.str("instance"), Version: r.str("version"), At: r.time("at"),
		Every:      seconds(readAs[float64](r, "every_seconds")),
		ProgressAt: r.time("progress_at"), InHand: r.int64("in_hand"),
		BacklogAge: seconds(readAs[float64](r, "backlog_age_seconds")), Receiving: r.flag("receiving"),
	}
	return h, r.err()
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
