package proxy

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Fault is what the calls that it matches meet. The zero match fields match
// every call; a fault with neither Delay, Code nor Cut does nothing.
type Fault struct {
	// Project is a GCP project id.
	Project string `json:"project,omitempty"`
	// Method is a part of the full method, "Commit" or "/google.pubsub.v1.Publisher/".
	Method string `json:"method,omitempty"`
	// Contains is a part of the call's first message as it is on the wire: a
	// document path, a topic or subscription name, a text in the payload.
	Contains string `json:"contains,omitempty"`
	// Times is how many calls meet the fault; 0 means all until it is removed.
	Times int `json:"times,omitempty"`

	// Delay comes before the call goes on (or is refused).
	Delay time.Duration `json:"delay_ns,omitempty"`
	// Code refuses the call with this gRPC code, unseen by the emulator.
	Code codes.Code `json:"code,omitempty"`
	// Cut refuses calls with Unavailable and, when the fault is added, ends the
	// matching calls that are open, streams above all.
	Cut bool `json:"cut,omitempty"`
}

// call is what is known of a call when it begins.
type call struct {
	method, project string
	first           []byte
	cut             chan struct{} // closed by a Cut fault, once
	once            sync.Once
}

func (c *call) end() { c.once.Do(func() { close(c.cut) }) }

func (f *Fault) matches(c *call) bool {
	return (f.Project == "" || f.Project == c.project) &&
		strings.Contains(c.method, f.Method) &&
		(f.Contains == "" || strings.Contains(string(c.first), f.Contains))
}

// faults holds what is set, and the calls that are open.
type faults struct {
	mu    sync.Mutex
	set   []*Fault
	calls map[*call]struct{}
}

func newFaults() *faults { return &faults{calls: map[*call]struct{}{}} }

// Inject sets a fault behind those already set, of which the first that matches
// a call counts, and returns what ends it.
func (p *Proxy) Inject(fault Fault) (remove func()) {
	f := &fault
	p.faults.mu.Lock()
	defer p.faults.mu.Unlock()
	p.faults.set = append(p.faults.set, f)
	if f.Cut {
		for c := range p.faults.calls {
			if f.matches(c) {
				c.end()
			}
		}
	}
	return func() { p.faults.remove(f) }
}

// ClearFaults ends all faults, cut connections too.
func (p *Proxy) ClearFaults() {
	p.faults.mu.Lock()
	p.faults.set = nil
	p.faults.mu.Unlock()
	p.Mend()
}

func (f *faults) remove(fault *Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.set = slices.DeleteFunc(f.set, func(other *Fault) bool { return other == fault })
}

// enter registers a call and returns the fault that it meets, a copy, or nil.
// Both in one step: a cut set now either ends the call or refuses it.
func (f *faults) enter(c *call) *Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[c] = struct{}{}
	for i, fault := range f.set {
		if !fault.matches(c) {
			continue
		}
		met := *fault
		if fault.Times > 0 {
			if fault.Times--; fault.Times == 0 {
				f.set = slices.Delete(f.set, i, i+1)
			}
		}
		return &met
	}
	return nil
}

func (f *faults) leave(c *call) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.calls, c)
}

// apply makes the call meet the fault; an error refuses it.
func (f *Fault) apply(ctx context.Context, c *call) error {
	if f == nil {
		return nil
	}
	if f.Delay > 0 {
		timer := time.NewTimer(f.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-c.cut:
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		}
	}
	if f.Cut {
		return errCut
	}
	if f.Code != codes.OK {
		return status.Errorf(f.Code, "fault injected: %s", f.Code)
	}
	return nil
}

var errCut = status.Error(codes.Unavailable, "fault injected: connection cut")
