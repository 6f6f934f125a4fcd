package watch

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// maxBacklog is how many changes may wait to be read, those of all streams together:
// about 1 KiB each. A list adds all that it holds.
const maxBacklog = 50_000

// backlog counts the changes that wait in the feeds of a Watcher while the sink has no
// room. Past the limit the watches wait too: without it a long outage of the sink
// would end in a process out of memory, which loses every deletion that it has seen.
type backlog struct {
	limit int
	gauge prometheus.Gauge

	mu      sync.Mutex
	room    *sync.Cond
	waiting int
}

func newBacklog(limit int, gauge prometheus.Gauge) *backlog {
	b := &backlog{limit: limit, gauge: gauge}
	b.room = sync.NewCond(&b.mu)
	return b
}

// await blocks while too many changes wait.
func (b *backlog) await() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.waiting >= b.limit {
		b.room.Wait()
	}
}

// add counts changes that came, or with a negative number went.
func (b *backlog) add(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting += n; b.waiting < b.limit {
		b.room.Broadcast()
	}
	b.gauge.Set(float64(b.waiting))
}
