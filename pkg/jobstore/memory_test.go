package jobstore

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// memory is a backend that keeps documents in a map, as strict as Firestore
// about preconditions and value types, with faults on request.
type memory struct {
	mu   sync.Mutex
	docs map[string]document // by collection/id
	tick time.Time

	gets, commits, lists, finds, queries, counted int
	lastWrites                                    []write
	// onGet and onCommit, when set, are asked for a fault of the n-th call,
	// counted from 1. They run without the lock, so they may use the memory.
	onGet    func(n int) error
	onCommit func(n int) fault
	onFind   func() error
}

// fault is what goes wrong with a commit.
type fault struct {
	err error
	// done says that the commit is carried out all the same.
	done bool
	// before runs first: what others do meanwhile.
	before func()
	// hang waits for the deadline.
	hang bool
}

func newMemory() *memory {
	return &memory{docs: map[string]document{}, tick: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)}
}

func (m *memory) get(ctx context.Context, collection, id string) (document, error) {
	m.mu.Lock()
	m.gets++
	n, hook := m.gets, m.onGet
	m.mu.Unlock()
	if hook != nil {
		if err := hook(n); err != nil {
			return document{}, err
		}
	}
	if err := ctx.Err(); err != nil {
		return document{}, status.FromContextError(err).Err()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if doc, ok := m.docs[collection+"/"+id]; ok {
		doc.fields = clone(doc.fields).(map[string]any)
		return doc, nil
	}
	return document{id: id}, nil
}

func (m *memory) commit(ctx context.Context, writes []write) (time.Time, error) {
	m.mu.Lock()
	m.commits++
	m.lastWrites = writes
	n, hook := m.commits, m.onCommit
	m.mu.Unlock()
	var f fault
	if hook != nil {
		f = hook(n)
	}
	if f.before != nil {
		f.before()
	}
	if f.hang {
		<-ctx.Done()
	}
	if f.err != nil && !f.done {
		return time.Time{}, f.err
	}
	if err := ctx.Err(); err != nil {
		return time.Time{}, status.FromContextError(err).Err()
	}
	at, err := m.carryOut(writes)
	if f.err != nil {
		return time.Time{}, f.err
	}
	return at, err
}

func (m *memory) carryOut(writes []write) (time.Time, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range writes {
		if err := m.precondition(&writes[i]); err != nil {
			return time.Time{}, err
		}
	}
	m.tick = m.tick.Add(time.Millisecond)
	for i := range writes {
		w := &writes[i]
		key := w.collection + "/" + w.id
		switch w.kind {
		case writeCreate, writeSet:
			m.docs[key] = document{id: w.id, exists: true, fields: clone(w.fields).(map[string]any), updateTime: m.tick}
		case writeUpdate:
			doc := m.docs[key]
			doc.updateTime = m.tick
			for _, u := range w.updates {
				setPath(doc.fields, u.path, clone(u.value))
			}
			m.docs[key] = doc
		case writeDelete:
			delete(m.docs, key)
		case writeRequire:
		}
	}
	return m.tick, nil
}

func (m *memory) precondition(w *write) error {
	doc, exists := m.docs[w.collection+"/"+w.id]
	switch {
	case w.kind == writeCreate && exists:
		return status.Errorf(codes.AlreadyExists, "%s exists", w.id)
	case (w.kind == writeUpdate || w.kind == writeRequire) && !exists:
		return status.Errorf(codes.NotFound, "%s is missing", w.id)
	case w.kind == writeUpdate && !doc.updateTime.Equal(w.ifUpdatedAt):
		return status.Errorf(codes.FailedPrecondition, "%s has changed", w.id)
	}
	return nil
}

func (m *memory) list(ctx context.Context, collection, after string, limit int) ([]document, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lists++
	if err := ctx.Err(); err != nil {
		return nil, status.FromContextError(err).Err()
	}
	var out []document
	for _, key := range slices.Sorted(maps.Keys(m.docs)) {
		id, in := strings.CutPrefix(key, collection+"/")
		if in && !strings.Contains(id, "/") && id > after && len(out) < limit {
			out = append(out, m.docs[key])
		}
	}
	return out, nil
}

func (m *memory) find(ctx context.Context, collection string, path []string, value any, limit int) ([]document, error) {
	m.mu.Lock()
	m.finds++
	hook := m.onFind
	m.mu.Unlock()
	if hook != nil {
		if err := hook(); err != nil {
			return nil, err
		}
	}
	all, err := m.list(ctx, collection, "", 1<<20)
	var out []document
	for _, doc := range all {
		field := any(doc.fields)
		for _, key := range path {
			fields, _ := field.(map[string]any)
			field = fields[key]
		}
		if field == value && len(out) < limit {
			doc.fields = clone(doc.fields).(map[string]any)
			out = append(out, doc)
		}
	}
	return out, err
}

func (m *memory) query(ctx context.Context, q *query) ([]document, error) {
	all, err := m.list(ctx, q.collection, "", 1<<20)
	m.mu.Lock()
	m.queries++
	m.mu.Unlock()
	sign := 1
	if q.descending {
		sign = -1
	}
	by := func(value any, id string) func(document) int {
		return func(d document) int {
			return sign * cmp.Or(d.fields[q.orderBy].(time.Time).Compare(value.(time.Time)), strings.Compare(d.id, id))
		}
	}
	all = slices.DeleteFunc(all, func(d document) bool {
		if _, ordered := d.fields[q.orderBy]; !ordered {
			return true
		}
		return slices.ContainsFunc(q.where, func(c condition) bool { return !c.holds(d.fields[c.field]) }) ||
			q.after != nil && by(q.after.value, q.after.id)(d) <= 0
	})
	slices.SortFunc(all, func(a, b document) int { return by(b.fields[q.orderBy], b.id)(a) })
	all = all[:min(len(all), q.limit)]
	for i := range all {
		all[i].fields = clone(all[i].fields).(map[string]any)
	}
	return all, err
}

func (c *condition) holds(value any) bool {
	switch c.op {
	case "in":
		return slices.Contains(c.value.([]any), value)
	case "<=":
		at, ok := value.(time.Time)
		return ok && !at.After(c.value.(time.Time))
	default:
		return value == c.value
	}
}

func (m *memory) count(ctx context.Context, collection string, ids []string) (int, error) {
	m.mu.Lock()
	m.counted++
	m.mu.Unlock()
	docs, err := m.getAll(ctx, collection, ids)
	return len(slices.DeleteFunc(docs, func(d document) bool { return !d.exists })), err
}

func (m *memory) getAll(ctx context.Context, collection string, ids []string) ([]document, error) {
	out := make([]document, len(ids))
	for i, id := range ids {
		var err error
		if out[i], err = m.get(ctx, collection, id); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// counts returns how many gets and commits there were.
func (m *memory) counts() (gets, commits int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.gets, m.commits
}

// ids lists a collection.
func (m *memory) ids(collection string) []string {
	docs, _ := m.list(context.Background(), collection, "", 1<<20)
	ids := make([]string, len(docs))
	for i := range docs {
		ids[i] = docs[i].id
	}
	return ids
}

// setPath copies the maps on its way, as documents handed out share them.
func setPath(fields map[string]any, path []string, value any) {
	if len(path) == 1 {
		fields[path[0]] = value
		return
	}
	sub, _ := fields[path[0]].(map[string]any)
	if sub == nil {
		sub = map[string]any{}
		fields[path[0]] = sub
	}
	setPath(sub, path[1:], value)
}

// clone copies a value and panics on a type that Firestore would give back as
// another one: what is stored must be what is read.
func clone(value any) any {
	switch v := value.(type) {
	case nil, bool, int64, float64, string, []byte:
		return v
	case time.Time:
		if v.Location() != time.UTC || v.Nanosecond()%1000 != 0 {
			panic(fmt.Sprintf("time %v is not UTC to the microsecond", v))
		}
		return v
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, item := range v {
			out[k] = clone(item)
		}
		return out
	default:
		panic(fmt.Sprintf("a %T would be read back as another type", value))
	}
}
