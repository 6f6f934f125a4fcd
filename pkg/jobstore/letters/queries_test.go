//go:build !integration

// The client of integration tests would be told of the emulator as well.

package letters_test

import (
	"context"
	"net"
	"slices"
	"testing"
	"time"

	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/jobstore/letters"
	"github.com/envision/resiliency/pkg/resilience"
)

// listener is a Firestore that holds nothing and notes what it is asked.
type listener struct {
	firestorepb.UnimplementedFirestoreServer

	asked chan *firestorepb.StructuredQuery
}

func (l *listener) RunQuery(r *firestorepb.RunQueryRequest, _ firestorepb.Firestore_RunQueryServer) error {
	l.asked <- r.GetStructuredQuery()
	return nil
}

func (l *listener) RunAggregationQuery(
	r *firestorepb.RunAggregationQueryRequest, out firestorepb.Firestore_RunAggregationQueryServer,
) error {
	l.asked <- r.GetStructuredAggregationQuery().GetStructuredQuery()
	none := &firestorepb.Value{ValueType: &firestorepb.Value_IntegerValue{}}
	return out.Send(&firestorepb.RunAggregationQueryResponse{
		Result: &firestorepb.AggregationResult{AggregateFields: map[string]*firestorepb.Value{"n": none}},
	})
}

// listen returns a store and what it asks.
func listen(t *testing.T) (*letters.Store, <-chan *firestorepb.StructuredQuery) {
	t.Helper()
	l := &listener{asked: make(chan *firestorepb.StructuredQuery, 1)}
	wire, server := bufconn.Listen(1<<20), grpc.NewServer()
	firestorepb.RegisterFirestoreServer(server, l)
	served := make(chan error, 1)
	go func() { served <- server.Serve(wire) }()
	conn, err := grpc.NewClient("passthrough:///firestore", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return wire.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	client, err := jobstore.NewClient(t.Context(), "p", "", option.WithGRPCConn(conn))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return letters.New(client, letters.Config{}, prometheus.NewRegistry()), l.asked
}

// The emulator serves any query; production refuses one without its index. So
// what is asked by several fields is held against the indexes that are deployed.
func TestQueries_HaveTheirIndexes(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	for name, f := range map[string]letters.Filter{
		"state_since":     {State: letters.StateOpen, From: at},
		"state_until":     {State: letters.StateOpen, To: at},
		"cause_in_a_time": {Category: resilience.CategoryDependency, Dependency: "firestore", From: at, To: at.Add(time.Hour)},
		"tenants_since":   {State: letters.StateOpen, Tenants: []string{"a", "b"}, From: at},
		"everything_else": {Fingerprint: "f", Subscription: "s", JobID: "j", Tenants: []string{"a"}, From: at},
		"time_alone":      {From: at},
		"without_a_time":  {State: letters.StateOpen, Fingerprint: "f"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, asked := listen(t)
			if _, err := store.Count(t.Context(), f); err != nil {
				t.Fatal(err)
			}
			served(t, "count", <-asked)
			if _, err := store.List(t.Context(), f, nil, 10); err != nil {
				t.Fatal(err)
			}
			served(t, "list", <-asked)
		})
	}
}

// served fails the test unless the indexes serve a query of letters: merged, one
// for each of its equal fields, all in the order of the query.
func served(t *testing.T, what string, q *firestorepb.StructuredQuery) {
	t.Helper()
	equal, bound := conditions(q.GetWhere())
	order := q.GetOrderBy()
	if bound != "" && len(order) == 0 {
		t.Errorf("%s: bounds %s and names no order, so that it rises, for which there is no index", what, bound)
		return
	}
	if len(order) == 0 {
		return // the single fields' own indexes serve it
	}
	first, down := order[0].GetField().GetFieldPath(), order[0].GetDirection() == firestorepb.StructuredQuery_DESCENDING
	if bound != "" && bound != first {
		t.Errorf("%s: bounds %s and orders by %s", what, bound, first)
	}
	for _, field := range equal {
		if !slices.ContainsFunc(letters.Indexes(), func(x letters.Index) bool {
			return x.Collection == "dead_letters" && slices.Equal(x.Fields, []letters.IndexField{{Path: field}, {Path: first, Descending: down}})
		}) {
			t.Errorf("%s: no index of %s and %s, descending %t", what, field, first, down)
		}
	}
}

// conditions are the fields of a query: those that are to equal something, and
// the one that is bounded, "" for none.
func conditions(f *firestorepb.StructuredQuery_Filter) (equal []string, bound string) {
	for _, part := range f.GetCompositeFilter().GetFilters() {
		more, other := conditions(part)
		if equal = append(equal, more...); other != "" {
			bound = other
		}
	}
	one := f.GetFieldFilter()
	if one == nil {
		return equal, bound
	}
	name := one.GetField().GetFieldPath()
	switch one.GetOp() {
	case firestorepb.StructuredQuery_FieldFilter_EQUAL, firestorepb.StructuredQuery_FieldFilter_IN:
		return append(equal, name), bound
	default:
		return equal, name
	}
}
