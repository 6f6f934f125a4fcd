package logsink

import (
	"container/heap"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
)

// message waits for its time to be published.
type message struct {
	due  time.Time
	seq  int // ties keep their order
	data *pubsubpb.PubsubMessage
}

// queue holds messages by due time. Its owner guards it.
type queue struct {
	heap messages
	seq  int
}

func (q *queue) push(due time.Time, data *pubsubpb.PubsubMessage) {
	q.seq++
	heap.Push(&q.heap, message{due: due, seq: q.seq, data: data})
}

// take removes what is due, at most count messages and about size bytes. With
// none due it says how long the first one has; false when there is none at all.
func (q *queue) take(now time.Time, count, size int) (batch []*pubsubpb.PubsubMessage, wait time.Duration, waiting bool) {
	for len(q.heap) > 0 && len(batch) < count && size > 0 {
		if first := q.heap[0]; first.due.After(now) {
			return batch, first.due.Sub(now), true
		}
		next := heap.Pop(&q.heap).(message)
		batch = append(batch, next.data)
		size -= len(next.data.GetData())
	}
	return batch, 0, len(q.heap) > 0
}

func (q *queue) len() int { return len(q.heap) }

// messages implements heap.Interface.
type messages []message

func (m *messages) Len() int { return len(*m) }

func (m *messages) Less(i, j int) bool {
	a, b := (*m)[i], (*m)[j]
	if a.due.Equal(b.due) {
		return a.seq < b.seq
	}
	return a.due.Before(b.due)
}

func (m *messages) Swap(i, j int) { (*m)[i], (*m)[j] = (*m)[j], (*m)[i] }

func (m *messages) Push(x any) { *m = append(*m, x.(message)) }

func (m *messages) Pop() any {
	old := *m
	last := old[len(old)-1]
	old[len(old)-1] = message{}
	*m = old[:len(old)-1]
	return last
}
