package messagingtest

import (
	"sync/atomic"

	"cloud.google.com/go/pubsub/v2/pstest"
)

// Fault makes one call of the fake server fail while it is set.
type Fault struct {
	call   string
	answer atomic.Pointer[func(req any) error]
}

// NewFault returns a fault, not set yet, for a call such as "Publish".
func NewFault(call string) *Fault { return &Fault{call: call} }

// Option puts the fault into a server.
func (f *Fault) Option() pstest.ServerReactorOption {
	return pstest.ServerReactorOption{FuncName: f.call, Reactor: f}
}

// Set makes the call fail with what answer returns for the request; nil lets
// that request through.
func (f *Fault) Set(answer func(req any) error) { f.answer.Store(&answer) }

// Clear lets all requests through again.
func (f *Fault) Clear() { f.answer.Store(nil) }

// React implements pstest.Reactor.
func (f *Fault) React(req any) (handled bool, ret any, err error) {
	answer := f.answer.Load()
	if answer == nil {
		return false, nil, nil
	}
	err = (*answer)(req)
	return err != nil, nil, err
}
