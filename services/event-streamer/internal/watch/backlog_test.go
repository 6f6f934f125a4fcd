package watch

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/envision/resiliency/pkg/kube"
)

func (b *backlog) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.waiting
}

// While the sink takes nothing, a watch is read until the backlog is full and no
// further; then everything is handed over, in order.
func TestFeed_waitsForRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const objects, updates, limit = 100, 100_000, 1000
		gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: "waiting", Help: "Changes that wait."})
		read := func(o any) (*kube.Job, bool) { j, ok := o.(*kube.Job); return j, ok }
		full := newBacklog(limit, gauge)
		f := newFeed("jobs.ml", full, read, nil)
		open, stopped, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
		next := uint64(1)
		go func() {
			defer close(ended)
			f.run(stopped, func(c change[*kube.Job]) {
				<-open
				if c.mark.To != next {
					t.Errorf("change %d was handed over, want %d", c.mark.To, next)
				}
				next++
			})
		}()
		go func() {
			defer close(stopped)
			for i := range updates {
				j := &kube.Job{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("train-", i%objects), ResourceVersion: fmt.Sprint(i + 1)}}
				if err := f.Update(j); err != nil {
					t.Error(err)
				}
			}
		}()
		synctest.Wait()
		if n := full.count(); n != limit {
			t.Errorf("%d changes wait, want the limit of %d", n, limit)
		}
		close(open)
		<-ended
		if n := full.count(); n != 0 || next != updates+1 {
			t.Errorf("%d changes wait and %d were handed over, want all of %d", n, next-1, updates)
		}
	})
}
