package proxy_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/envision/resiliency/test/stack/proxy"
)

// documents is a Firestore service that answers just enough to be counted.
type documents struct {
	firestorepb.UnimplementedFirestoreServer
	commits chan struct{}
}

const base = "projects/p-1/databases/(default)/documents"

func (d *documents) Commit(_ context.Context, r *firestorepb.CommitRequest) (*firestorepb.CommitResponse, error) {
	d.commits <- struct{}{}
	if len(r.GetWrites()) == 0 {
		return nil, status.Error(codes.FailedPrecondition, "stale")
	}
	return &firestorepb.CommitResponse{CommitTime: timestamppb.Now()}, nil
}

func (d *documents) BatchGetDocuments(r *firestorepb.BatchGetDocumentsRequest, s firestorepb.Firestore_BatchGetDocumentsServer) error {
	for i, name := range r.GetDocuments() {
		answer := &firestorepb.BatchGetDocumentsResponse{Result: &firestorepb.BatchGetDocumentsResponse_Missing{Missing: name}}
		if i == 0 {
			answer.Result = &firestorepb.BatchGetDocumentsResponse_Found{Found: &firestorepb.Document{Name: name}}
		}
		if err := s.Send(answer); err != nil {
			return err
		}
	}
	return nil
}

func (d *documents) RunQuery(r *firestorepb.RunQueryRequest, s firestorepb.Firestore_RunQueryServer) error {
	limit := r.GetStructuredQuery().GetLimit().GetValue()
	for range limit {
		if err := s.Send(&firestorepb.RunQueryResponse{Document: &firestorepb.Document{Name: base + "/jobs/j/phases/e"}}); err != nil {
			return err
		}
	}
	return s.Send(&firestorepb.RunQueryResponse{ReadTime: timestamppb.Now()})
}

func startDocuments(t *testing.T) (*proxy.Proxy, firestorepb.FirestoreClient, *documents) {
	t.Helper()
	service := &documents{commits: make(chan struct{}, 64)}
	upstream := serve(t, func(s *grpc.Server) { firestorepb.RegisterFirestoreServer(s, service) })
	p, conn := startProxy(t, upstream)
	return p, firestorepb.NewFirestoreClient(conn), service
}

func update(path string) *firestorepb.Write {
	return &firestorepb.Write{Operation: &firestorepb.Write_Update{Update: &firestorepb.Document{Name: base + path}}}
}

func commit(paths ...string) *firestorepb.CommitRequest {
	r := &firestorepb.CommitRequest{Database: "projects/p-1/databases/(default)"}
	for _, path := range paths {
		r.Writes = append(r.Writes, update(path))
	}
	return r
}

func drain[M any](t *testing.T, recv func() (M, error)) {
	t.Helper()
	for {
		if _, err := recv(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func TestProxy_counts_what_firestore_bills(t *testing.T) {
	t.Parallel()
	p, client, _ := startDocuments(t)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "google-cloud-resource-prefix", "projects/p-1/databases/(default)")
	two := commit("/jobs/j", "/outbox/o")
	two.Writes = append(two.Writes, &firestorepb.Write{Operation: &firestorepb.Write_Delete{Delete: base + "/outbox/old"}})
	if _, err := client.Commit(ctx, two); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Commit(ctx, commit()); status.Code(err) != codes.FailedPrecondition {
		t.Fatalf("refused commit gave %v", err)
	}
	gets, err := client.BatchGetDocuments(ctx, &firestorepb.BatchGetDocumentsRequest{Documents: []string{base + "/jobs/j", base + "/jobs/none"}})
	if err != nil {
		t.Fatal(err)
	}
	drain(t, gets.Recv)
	for range 2 { // both without a result: one read each
		queries, err := client.RunQuery(ctx, &firestorepb.RunQueryRequest{
			Parent: base + "/jobs/j", QueryType: &firestorepb.RunQueryRequest_StructuredQuery{StructuredQuery: &firestorepb.StructuredQuery{
				From: []*firestorepb.StructuredQuery_CollectionSelector{{CollectionId: "phases"}},
			}},
		})
		if err != nil {
			t.Fatal(err)
		}
		drain(t, queries.Recv)
	}
	want := proxy.Counts{
		Reads:   map[string]int64{"jobs": 2, "jobs/*/phases": 2},
		Writes:  map[string]int64{"jobs": 1, "outbox": 1},
		Deletes: map[string]int64{"outbox": 1},
		Calls:   map[string]int64{"Commit OK": 1, "Commit FailedPrecondition": 1, "BatchGetDocuments OK": 1, "RunQuery OK": 2},
		// The others are there and empty, so that a reader may index them.
		Published: map[string]int64{}, Delivered: map[string]int64{}, Acked: map[string]int64{}, Nacked: map[string]int64{},
	}
	if diff := cmp.Diff(want, p.Counts("p-1")); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	if got := p.Counts("p-2"); len(got.Calls) != 0 {
		t.Errorf("another project has counts: %v", got)
	}
	p.ResetCounts("p-1")
	if got := p.Counts("p-1"); len(got.Calls) != 0 {
		t.Errorf("counts after reset: %v", got)
	}
}

func TestProxy_refuses_and_delays_by_project_method_and_content(t *testing.T) {
	t.Parallel()
	p, client, service := startDocuments(t)
	p.Inject(proxy.Fault{Project: "p-1", Method: "Commit", Contains: "/jobs/bad", Code: codes.Aborted, Times: 1})
	if _, err := client.Commit(t.Context(), commit("/jobs/bad")); status.Code(err) != codes.Aborted {
		t.Errorf("matching call gave %v, want Aborted", err)
	}
	if n := len(service.commits); n != 0 {
		t.Errorf("the refused call reached the emulator")
	}
	for _, path := range []string{"/jobs/bad", "/jobs/good"} { // the first again: Times is used up
		if _, err := client.Commit(t.Context(), commit(path)); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	remove := p.Inject(proxy.Fault{Method: "Commit", Delay: 300 * time.Millisecond})
	began := time.Now()
	if _, err := client.Commit(t.Context(), commit("/jobs/good")); err != nil || time.Since(began) < 300*time.Millisecond {
		t.Errorf("delayed call: %v after %s", err, time.Since(began))
	}
	remove()
	p.Inject(proxy.Fault{Delay: time.Hour})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := client.Commit(ctx, commit("/jobs/good")); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("call that hangs gave %v, want DeadlineExceeded", err)
	}
	p.ClearFaults()
	if _, err := client.Commit(t.Context(), commit("/jobs/good")); err != nil {
		t.Errorf("after ClearFaults: %v", err)
	}
	if got := p.Counts("p-1").Calls["Commit Aborted"]; got != 1 {
		t.Errorf("refused calls counted: %d, want 1", got)
	}
}
