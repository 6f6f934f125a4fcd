package watch

import (
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/watch"
)

// overheard is a watch whose errors somebody is told of. The filter of apimachinery
// would do, but for a goroutine that it leaves behind when the reader stops first.
type overheard struct {
	watch.Interface
	events chan watch.Event
	stop   sync.Once
	done   chan struct{}
}

// overhear passes a watch on and tells of the errors in it before their reader gets
// them. Whoever reads it must call Stop.
func overhear(in watch.Interface, tell func(error)) watch.Interface {
	o := &overheard{Interface: in, events: make(chan watch.Event), done: make(chan struct{})}
	go o.pass(tell)
	return o
}

func (o *overheard) pass(tell func(error)) {
	defer close(o.events)
	for e := range o.Interface.ResultChan() {
		if e.Type == watch.Error {
			tell(apierrors.FromObject(e.Object))
		}
		select {
		case o.events <- e:
		case <-o.done:
			return
		}
	}
}

// ResultChan implements watch.Interface.
func (o *overheard) ResultChan() <-chan watch.Event { return o.events }

// Stop implements watch.Interface.
func (o *overheard) Stop() {
	o.stop.Do(func() { close(o.done) })
	o.Interface.Stop()
}
