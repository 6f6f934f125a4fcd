package bench

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"google.golang.org/protobuf/proto"

	"github.com/envision/resiliency/pkg/jobevent"
	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/test/deadmail"
	"github.com/envision/resiliency/test/stack"
)

const (
	largeLetters, largeBytes = 5000, 100_000
	// largePatience bounds the storing of all.
	largePatience = 10 * time.Minute
)

// measureLetterMemory takes the peak memory of dlq-handler when it starts before
// a heap of large letters, as it does after an outage of its own.
func measureLetterMemory(ctx context.Context, s *stack.Stack, o Options, r *Report) (err error) {
	fmt.Fprintf(o.Out, "measuring a burst of %d letters of %d KB (about 1 min)\n", largeLetters, largeBytes/1000)
	p, err := s.NewProject(ctx, "burst")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close(ctx)) }()
	if err := publishLarge(ctx, p); err != nil {
		return err
	}
	spec := stack.DLQHandler()
	spec.Binary = filepath.Join(o.BinDir, spec.Binary)
	begun := time.Now()
	process, err := p.StartService(ctx, spec)
	if err != nil {
		return err
	}
	if err := awaitAcked(ctx, s, p, largeLetters); err != nil {
		return err
	}
	fmt.Fprintf(o.Out, "  all kept after %s\n", time.Since(begun).Round(time.Second))
	peak, _, err := usage(process.PID())
	if err != nil {
		return err
	}
	r.add("dlq_rss_5k_100kb_mib", "MiB", peak)
	return nil
}

// publishLarge puts the letters into the topic, a few at a time: this process's
// memory is bounded too.
func publishLarge(ctx context.Context, p *stack.Project) (err error) {
	client, err := p.PubSub(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	publisher := client.Publisher(topology.TopicDeadLetters)
	defer publisher.Stop()
	const atOnce = 50
	for from := 0; from < largeLetters; from += atOnce {
		var results []*pubsub.PublishResult
		for n := from; n < min(from+atOnce, largeLetters); n++ {
			msg, err := largeLetter(n)
			if err != nil {
				return err
			}
			results = append(results, publisher.Publish(ctx, msg))
		}
		for _, result := range results {
			if _, err := result.Get(ctx); err != nil {
				return fmt.Errorf("publish a large letter: %w", err)
			}
		}
	}
	return nil
}

// largeLetter is one of three kinds, each dear in its own way: a message that is
// decoded and shown, JSON that is formatted, bytes that nobody can read.
func largeLetter(n int) (*pubsub.Message, error) {
	event := deadmail.Event(n, time.Now())
	event.JobID = fmt.Sprintf("large-%05d", n)
	msg := &pubsub.Message{Attributes: map[string]string{
		messaging.AttributeDeadLetterSubscription: topology.SubscriptionJobEventsStatusUpdater,
		messaging.AttributeDeadLetterCategory:     "permanent",
		messaging.AttributeDeadLetterReason:       "decode the message: it breaks the contract",
	}}
	var err error
	switch n % 3 {
	case 0:
		message := jobevent.Encode(&event)
		message.CorrelationId = strings.Repeat("c", largeBytes)
		msg.Data, err = proto.Marshal(message)
	case 1:
		msg.Attributes[messaging.AttributeDeadLetterSubscription] = topology.SubscriptionJobLogEntriesStatusUpdater
		line, encodeErr := json.Marshal(map[string]any{"logName": "projects/p/logs/stdout", "insertId": n, "severity": "INFO"})
		msg.Data, err = append([]byte(`{"entries":[`), bytes.Repeat(append(line, ','), largeBytes/len(line))...), encodeErr
		msg.Data = append(msg.Data, `null]}`...)
	default:
		msg.Data = make([]byte, largeBytes)
		_, err = rand.Read(msg.Data)
	}
	if err != nil {
		return nil, fmt.Errorf("make large letter %d: %w", n, err)
	}
	return msg, nil
}

// awaitAcked waits until so many letters are done with: stored, cleaned up, told.
func awaitAcked(ctx context.Context, s *stack.Stack, p *stack.Project, want int64) error {
	ctx, cancel := context.WithTimeout(ctx, largePatience)
	defer cancel()
	ticker := time.NewTicker(500 * time.Millisecond)
	defer ticker.Stop()
	for {
		acked := s.PubSub.Counts(p.ID).Acked[topology.SubscriptionDeadLettersDLQHandler]
		if acked >= want {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for %d letters, %d are done: %w", want, acked, context.Cause(ctx))
		}
	}
}
