package slackfake

import (
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Fault is what calls meet instead of, or before, an answer.
type Fault struct {
	// Method is the API method, "chat.postMessage"; empty means every one.
	Method string
	// Times is how many calls meet it; 0 means all until ClearFaults.
	Times int
	// Delay comes before anything else.
	Delay time.Duration
	// RetryAfter answers 429 with that header, in whole seconds (0 s: none).
	RetryAfter time.Duration
	// Status answers with this HTTP status and no body of Slack's.
	Status int
	// Error answers 200 with ok=false and this error, as Slack mostly does.
	Error string
	// Lost carries the call out and then closes the connection without an answer.
	Lost bool
}

// AddFault puts a fault behind those already set; the first that matches a call
// is what it meets.
func (s *Server) AddFault(fault Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &fault)
}

// ClearFaults ends all faults.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// take returns the fault that a call meets, nil for none.
func (s *Server) take(method string) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[method]++
	for i, f := range s.faults {
		if f.Method != "" && f.Method != method {
			continue
		}
		fault := *f
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				s.faults = slices.Delete(s.faults, i, i+1)
			}
		}
		return &fault
	}
	return nil
}

func (s *Server) faulty(method string, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		// Read before any delay: the server notices a client that goes away only
		// once the body is read.
		r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
		if err := r.ParseForm(); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		fault := s.take(method)
		if fault == nil {
			next(w, r)
			return
		}
		select {
		case <-time.After(fault.Delay):
		case <-r.Context().Done():
			return
		case <-s.closing:
			return
		}
		switch {
		case fault.Lost:
			next(discard{http.Header{}}, r)
			panic(http.ErrAbortHandler)
		case fault.RetryAfter > 0:
			w.Header().Set("Retry-After", strconv.Itoa(int(fault.RetryAfter.Seconds())))
			w.WriteHeader(http.StatusTooManyRequests)
			answer(w, map[string]any{"ok": false, "error": "ratelimited"})
		case fault.Status != 0:
			w.WriteHeader(fault.Status)
		case fault.Error != "":
			answer(w, map[string]any{"ok": false, "error": fault.Error})
		default:
			next(w, r)
		}
	}
}

// discard takes an answer that nobody is to get.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}
