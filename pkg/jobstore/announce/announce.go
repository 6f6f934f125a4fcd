// Package announce says what goes out when a job's record changes: the
// JobUpdate for the product, and the phase that records a correction. Every
// service that changes records uses it, so a change is told alike whoever made it.
//
// It only builds messages. It never publishes, and what it builds depends on
// nothing but the change, for an id must never have two contents.
package announce

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobevent"
	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/messaging"
)

// Changes returns the outbox function of a service; source names the service.
func Changes(source job.Source) jobstore.OutboxFunc {
	return func(before, after *job.Record, revision int64) ([]jobstore.Entry, error) {
		var entries []jobstore.Entry
		if update := jobevent.Update(before, after, revision, source); update != nil {
			e, err := Entry(update)
			if err != nil {
				return nil, err
			}
			entries = append(entries, e)
		}
		if phase := jobevent.Correction(before, after, revision, source); phase != nil {
			e, err := Entry(phase)
			if err != nil {
				return nil, err
			}
			entries = append(entries, e)
		}
		return entries, nil
	}
}

// Message is any message of the contract.
type Message interface {
	proto.Message
	GetEventId() string
}

// Entry prepares a message of the contract for the outbox, under its event id.
// Every error is permanent.
func Entry(msg Message) (jobstore.Entry, error) {
	e, err := messaging.Encode(msg)
	if err != nil {
		return jobstore.Entry{}, fmt.Errorf("prepare message %s for the outbox: %w", msg.GetEventId(), err)
	}
	return jobstore.Entry{
		ID: msg.GetEventId(), Topic: e.Topic, Type: e.Type, Payload: e.Data, Attributes: e.Attributes,
	}, nil
}
