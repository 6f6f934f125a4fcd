package proxy

import (
	"strings"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
)

// tally follows one call's frames. Requests and responses come from different
// goroutines.
type tally struct {
	counter *counter
	call    *call
	reader  frameReader

	mu sync.Mutex
}

// frameReader knows what the frames of one method mean. A nil function means
// that those frames do not matter. They may be called with any bytes.
type frameReader struct {
	request, response func([]byte, *Counts)
	end               func(codes.Code, *Counts)
}

func (c *counter) begin(call *call) *tally {
	t := &tally{counter: c, call: call}
	switch service, method := splitMethod(call.method); service {
	case "google.firestore.v1.Firestore":
		t.reader = firestoreReader(method)
	case "google.pubsub.v1.Publisher", "google.pubsub.v1.Subscriber":
		t.reader = pubsubReader(method)
	}
	return t
}

func (t *tally) request(b []byte)  { t.see(t.reader.request, b) }
func (t *tally) response(b []byte) { t.see(t.reader.response, b) }

func (t *tally) see(read func([]byte, *Counts), b []byte) {
	if read == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counter.add(t.call.project, func(counts *Counts) { read(b, counts) })
}

func (t *tally) end(code codes.Code) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counter.add(t.call.project, func(counts *Counts) {
		counts.Calls[callKey(t.call.method, code)]++
		if t.reader.end != nil {
			t.reader.end(code, counts)
		}
	})
}

func splitMethod(full string) (service, method string) {
	service, method, _ = strings.Cut(strings.TrimPrefix(full, "/"), "/")
	return service, method
}

func callKey(full string, code codes.Code) string {
	_, method := splitMethod(full)
	return method + " " + code.String()
}

// decode reads a frame; one that is no such message is not counted.
func decode[M proto.Message](b []byte, m M) (M, bool) {
	return m, proto.Unmarshal(b, m) == nil
}

// lastPart is a topic's or subscription's id.
func lastPart(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }
