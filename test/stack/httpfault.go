package stack

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// HTTPFault is what requests to a server of the stack meet while it is set.
type HTTPFault struct {
	// Contains is a part of the request's path and query, unescaped: the name of
	// an object, a label selector. Empty matches every request.
	Contains string
	// Delay comes before the answer.
	Delay time.Duration
	// Status is answered instead of doing the work; 0 does the work.
	Status int
	// As has the API server asked in the name of this user, who has no right to
	// anything, so that the refusal is its own. Only KubeProxy knows it.
	As string
}

// httpFaults holds what is set. The zero value has none.
type httpFaults struct {
	mu  sync.Mutex
	set []*HTTPFault
}

func (f *httpFaults) inject(fault HTTPFault) (remove func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.set = append(f.set, &fault)
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.set = slices.DeleteFunc(f.set, func(other *HTTPFault) bool { return other == &fault })
	}
}

// of returns the first fault that matches a request, the zero one for none.
func (f *httpFaults) of(r *http.Request) HTTPFault {
	asked := r.URL.Path + "?" + r.URL.RawQuery
	if query, err := url.QueryUnescape(r.URL.RawQuery); err == nil {
		asked = r.URL.Path + "?" + query
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, fault := range f.set {
		if strings.Contains(asked, fault.Contains) {
			return *fault
		}
	}
	return HTTPFault{}
}

// before puts the faults before a handler.
func (f *httpFaults) before(next func(http.ResponseWriter, *http.Request, HTTPFault)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fault := f.of(r)
		if fault.Delay > 0 {
			timer := time.NewTimer(fault.Delay)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-r.Context().Done():
				return
			}
		}
		if fault.Status != 0 {
			http.Error(w, "fault injected", fault.Status)
			return
		}
		next(w, r, fault)
	})
}
