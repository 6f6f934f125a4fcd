package cleanup

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/envision/resiliency/services/dlq-handler/internal/capture/letter"
)

// handleJobUpdate keeps an update that a reader could not take: the record that
// it tells of is right, and a replay tells the reader again.
func (c *Cleaner) handleJobUpdate(ctx context.Context, _ proto.Message, l *letter.Letter) (action, text string, err error) {
	return c.ensureRecord(ctx, l, nil, "An update changes nothing of its job; its reader gets it by a replay.")
}

// handlePhaseEvent keeps a phase: phases are a record for people.
func (c *Cleaner) handlePhaseEvent(ctx context.Context, _ proto.Message, l *letter.Letter) (action, text string, err error) {
	return c.ensureRecord(ctx, l, nil, "A phase changes nothing of its job; it gets into its timeline by a replay.")
}
