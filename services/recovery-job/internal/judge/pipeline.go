package judge

import (
	"fmt"
	"time"
)

// Pipeline is the health of the way that a job's news take. Silence of a job
// counts only while the pipeline could have spoken.
type Pipeline struct {
	Probe Probe
	// PubSub says why Pub/Sub cannot be reached; empty when it can.
	PubSub string
	// Fault says why the heartbeats could not be read, with Failed.
	Fault Fault
	// Beats are the heartbeats of the processes of status-updater.
	Beats []Beat
}

// Beat is one process's heartbeat.
type Beat struct {
	At time.Time
	// Every is after how long the next one is due.
	Every time.Duration
	// BacklogAge is the age of the oldest message that it had in hand.
	BacklogAge time.Duration
	// Receiving says that all its subscriptions are being pulled.
	Receiving bool
}

const (
	// missedBeats is after how many missed heartbeats a process counts as gone.
	missedBeats = 3
	// maxBacklog is the age from which a message in hand means that news is late.
	maxBacklog = 5 * time.Minute
	// minBeat bounds the age of a heartbeat from below, for clocks that differ.
	minBeat = time.Minute
)

// Deaf says why the pipeline may be what is silent; empty when it could have
// spoken.
func (p *Pipeline) Deaf(now time.Time) string {
	switch {
	case p.Probe == NotAsked:
		return "nobody asked whether Pub/Sub and status-updater are well"
	case p.PubSub != "":
		return "Pub/Sub cannot be reached: " + p.PubSub
	case p.Probe == Failed:
		return "the heartbeats of status-updater cannot be read: " + p.Fault.Err
	}
	fresh := 0
	var newest time.Time
	for _, b := range p.Beats {
		if b.At.After(newest) {
			newest = b.At
		}
		if now.Sub(b.At) > max(missedBeats*b.Every, minBeat) {
			continue // it ended; its heartbeat outlives it
		}
		fresh++
		if !b.Receiving {
			return "a status-updater does not receive"
		}
		if b.BacklogAge > maxBacklog {
			return fmt.Sprintf("status-updater has a backlog of %s", b.BacklogAge.Round(time.Second))
		}
	}
	switch {
	case fresh > 0:
		return ""
	case newest.IsZero():
		return "status-updater has no heartbeat"
	default:
		return fmt.Sprintf("the last heartbeat of status-updater is %s old", now.Sub(newest).Round(time.Second))
	}
}
