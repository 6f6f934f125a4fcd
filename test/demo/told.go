package demo

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/envision/resiliency/pkg/messaging"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
	"github.com/envision/resiliency/test/drive"
)

// toldDelayed is what users are told of a job that waits for room; the other kinds
// are spelled as states are.
const toldDelayed = "DELAYED"

// toldWithin bounds the wait for the last update.
const toldWithin = 20 * time.Second

// told is what users were told, each update once.
type told struct {
	mu   sync.Mutex
	seen map[string]bool
	// kinds counts the updates of each kind, by job.
	kinds map[string]map[string]int
}

func newTold() *told { return &told{seen: map[string]bool{}, kinds: map[string]map[string]int{}} }

// update is the product's handler of updates.
func (t *told) update(_ context.Context, u *resiliencyv1.JobUpdate, _ messaging.Meta) error {
	var kind string
	switch u.GetEvent().(type) {
	case *resiliencyv1.JobUpdate_Delayed:
		kind = toldDelayed
	case *resiliencyv1.JobUpdate_Succeeded:
		kind = drive.Succeeded
	case *resiliencyv1.JobUpdate_Failed:
		kind = drive.Failed
	case *resiliencyv1.JobUpdate_Cancelled, *resiliencyv1.JobUpdate_Corrected:
		kind = "another end"
	default:
		return nil // it goes on
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.seen[u.GetEventId()] {
		return nil // delivered twice
	}
	t.seen[u.GetEventId()] = true
	if t.kinds[u.GetJobId()] == nil {
		t.kinds[u.GetJobId()] = map[string]int{}
	}
	t.kinds[u.GetJobId()][kind]++
	return nil
}

// expect waits until the user of each job was told just this, each of it once.
func (t *told) expect(ctx context.Context, jobs []string, kinds ...string) error {
	want := map[string]int{}
	for _, kind := range kinds {
		want[kind] = 1
	}
	wrong := ""
	err := await(ctx, "updates", 100*time.Millisecond, toldWithin, func(context.Context) (bool, error) {
		t.mu.Lock()
		defer t.mu.Unlock()
		at := slices.IndexFunc(jobs, func(id string) bool { return !maps.Equal(t.kinds[id], want) })
		if at >= 0 {
			wrong = fmt.Sprintf("the user of job %s was told %v instead of %v", jobs[at], t.kinds[jobs[at]], want)
		}
		return at < 0, nil
	})
	if err != nil {
		return fmt.Errorf("%s: %w", wrong, err)
	}
	return nil
}
