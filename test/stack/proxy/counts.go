package proxy

import (
	"maps"
	"sync"

	"google.golang.org/grpc/codes"
)

// Counts is what one project's calls did since the start or the last Reset.
// The keys are Firestore collection paths with document ids replaced by "*"
// ("jobs", "jobs/*/phases") or topic and subscription ids. What a client did
// not get to see, because it had vanished, does not count.
type Counts struct {
	// Reads counts documents returned, and one for each missing document asked
	// for by name and for each query without a result. An aggregation is one.
	Reads map[string]int64 `json:"reads,omitempty"`
	// Writes and Deletes count the writes of successful commits.
	Writes  map[string]int64 `json:"writes,omitempty"`
	Deletes map[string]int64 `json:"deletes,omitempty"`
	// Published counts messages accepted, by topic.
	Published map[string]int64 `json:"published,omitempty"`
	// Delivered counts messages handed out, each time, by subscription.
	Delivered map[string]int64 `json:"delivered,omitempty"`
	// Acked and Nacked count acknowledgements and deadlines set to zero.
	Acked  map[string]int64 `json:"acked,omitempty"`
	Nacked map[string]int64 `json:"nacked,omitempty"`
	// Calls counts ended calls by method and gRPC code, "Commit OK".
	Calls map[string]int64 `json:"calls,omitempty"`
}

// Total sums one of the maps.
func Total(counts map[string]int64) int64 {
	var sum int64
	for _, n := range counts {
		sum += n
	}
	return sum
}

func newCounts() *Counts {
	c := &Counts{}
	for _, m := range c.maps() {
		*m = map[string]int64{}
	}
	return c
}

func (c *Counts) maps() []*map[string]int64 {
	return []*map[string]int64{
		&c.Reads, &c.Writes, &c.Deletes, &c.Published, &c.Delivered, &c.Acked, &c.Nacked, &c.Calls,
	}
}

func (c *Counts) clone() Counts {
	copied := *c
	for _, m := range copied.maps() {
		*m = maps.Clone(*m)
	}
	return copied
}

// counter keeps the counts of all projects.
type counter struct {
	mu       sync.Mutex
	projects map[string]*Counts
}

func newCounter() *counter { return &counter{projects: map[string]*Counts{}} }

// Counts returns a copy of a project's counts; its maps are never nil.
func (p *Proxy) Counts(project string) Counts {
	p.counts.mu.Lock()
	defer p.counts.mu.Unlock()
	return p.counts.of(project).clone()
}

// ResetCounts begins a project's counts anew.
func (p *Proxy) ResetCounts(project string) {
	p.counts.mu.Lock()
	defer p.counts.mu.Unlock()
	delete(p.counts.projects, project)
}

// of is called with the lock held.
func (c *counter) of(project string) *Counts {
	counts, ok := c.projects[project]
	if !ok {
		counts = newCounts()
		c.projects[project] = counts
	}
	return counts
}

// add changes a project's counts.
func (c *counter) add(project string, change func(*Counts)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(c.of(project))
}

func (c *counter) refused(call *call, code codes.Code) {
	c.add(call.project, func(counts *Counts) { counts.Calls[callKey(call.method, code)]++ })
}
