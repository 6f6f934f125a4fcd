package watch

import (
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/envision/resiliency/services/event-streamer/internal/fact"
)

// object is the compact form of one kind of object.
type object interface {
	comparable
	metav1.Object
}

// What a change is.
const (
	added = iota
	updated
	deleted // its final state is known
	missing // it was not in a new list
	listing // the objects of a list follow
	listed  // they were all handed over
)

// change is one step of a feed. For listing and listed it has only the mark of
// the list; before is the object's last known form, now its present one.
type change[T object] struct {
	kind        int
	before, now T
	mark        fact.Mark
	// live says that the watch gave it, not a list: up to it the stream is whole.
	live bool
	// stored is, for listing, what the watermark was when the list was asked for.
	stored uint64
}

// subject is the newest form of the object.
func (c change[T]) subject() T {
	if c.kind == missing {
		return c.before
	}
	return c.now
}

// feed takes what a reflector sees of one stream, keeps the last known form of
// each object, and hands changes on in order. It does the work of a shared
// informer with one copy of each object and nothing for what is not kept: no
// queue of deltas with objects in full, no cache of what has ended.
//
// While the backlog is full, what the reflector brings waits, and the reflector reads
// no further. The API server ends a watch that is not read; it is then taken up where
// it stopped, or, after minutes, by a new list.
type feed[T object] struct {
	stream  fact.Stream
	backlog *backlog
	// read makes the compact form; false drops the object.
	read func(any) (T, bool)
	// owner indexes objects; nil for none.
	owner func(T) types.UID

	mu      sync.RWMutex
	objects map[string]T
	owned   map[types.UID]map[string]T
	changes []change[T]
	wake    chan struct{} // holds a token when there are changes
	last    uint64        // the version of the newest change
	stored  uint64        // the watermark when a list was last asked for
	synced  chan struct{} // closed once the first list was handed over
}

func newFeed[T object](stream fact.Stream, backlog *backlog, read func(any) (T, bool), owner func(T) types.UID) *feed[T] {
	return &feed[T]{
		stream: stream, backlog: backlog, read: read, owner: owner,
		objects: map[string]T{}, owned: map[types.UID]map[string]T{},
		wake: make(chan struct{}, 1), synced: make(chan struct{}),
	}
}

func key(o metav1.Object) string { return o.GetNamespace() + "/" + o.GetName() }

// Transformer implements cache.TransformingStore: a list that is streamed is
// made compact object by object, as it comes.
func (f *feed[T]) Transformer() cache.TransformFunc {
	return func(obj any) (any, error) {
		if t, ok := f.read(obj); ok {
			return t, nil
		}
		return obj, nil // an error would end the watch; Replace drops it
	}
}

// Add implements cache.ReflectorStore.
func (f *feed[T]) Add(obj any) error { return f.Update(obj) }

// Update implements cache.ReflectorStore.
func (f *feed[T]) Update(obj any) error {
	if t, ok := f.read(obj); ok {
		f.backlog.await()
		f.mu.Lock()
		defer f.mu.Unlock()
		f.present(t, true)
		f.last = max(f.last, fact.Version(t.GetResourceVersion()))
	}
	return nil
}

// present records an object that is there; the lock is held.
func (f *feed[T]) present(t T, live bool) {
	c := change[T]{kind: added, now: t, live: live, mark: fact.At(f.stream, t.GetResourceVersion(), f.last)}
	if !live {
		// Several changes may have become one since the last that was seen, and
		// what is read now may follow from the first of them.
		c.mark.From = min(f.last+1, c.mark.From)
	}
	if before, ok := f.objects[key(t)]; ok {
		if before.GetUID() == t.GetUID() && before.GetResourceVersion() == t.GetResourceVersion() && t.GetResourceVersion() != "" {
			return // a list repeats what is known
		}
		c.kind, c.before = updated, before
		f.remove(before)
	}
	f.put(t)
	f.push(c)
}

// Delete implements cache.ReflectorStore. What is not kept had said all it had
// to say.
func (f *feed[T]) Delete(obj any) error {
	t, ok := f.read(obj)
	if !ok {
		return nil
	}
	f.backlog.await()
	f.mu.Lock()
	defer f.mu.Unlock()
	if before, ok := f.objects[key(t)]; ok && before.GetUID() == t.GetUID() {
		f.remove(before)
		f.push(change[T]{kind: deleted, before: before, now: t, live: true, mark: fact.At(f.stream, t.GetResourceVersion(), f.last)})
	}
	f.last = max(f.last, fact.Version(t.GetResourceVersion()))
	return nil
}

// asked notes what the watermark is as a list is asked for.
func (f *feed[T]) asked(stored uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stored = stored
}

// Replace implements cache.ReflectorStore: a complete list, at the start or
// after the watch was lost. What is missing from it is gone since some time
// between the last change seen and the list.
func (f *feed[T]) Replace(list []any, resourceVersion string) error {
	version := fact.Version(resourceVersion)
	f.backlog.await()
	f.mu.Lock()
	defer f.mu.Unlock()
	whole := fact.Mark{Stream: f.stream, From: version, To: version}
	f.push(change[T]{kind: listing, mark: whole, stored: f.stored})
	known := len(f.objects) > 0 // else nothing can be missing
	there := map[string]struct{}{}
	for i := range list {
		if t, ok := f.read(list[i]); ok {
			if known {
				there[key(t)] = struct{}{}
			}
			f.present(t, false)
		}
		list[i] = nil // the list may be all that holds an object in full
	}
	if known {
		f.missing(there, fact.Mark{Stream: f.stream, From: f.last + 1, To: max(version, f.last+1)})
	}
	f.push(change[T]{kind: listed, mark: whole})
	f.last = version
	return nil
}

// missing drops what is not in a list; the lock is held.
func (f *feed[T]) missing(there map[string]struct{}, mark fact.Mark) {
	for k, before := range f.objects {
		if _, ok := there[k]; !ok {
			f.remove(before)
			f.push(change[T]{kind: missing, before: before, mark: mark})
		}
	}
}

// Resync implements cache.ReflectorStore; facts do not age.
func (f *feed[T]) Resync() error { return nil }

func (f *feed[T]) push(c change[T]) {
	f.changes = append(f.changes, c)
	f.backlog.add(1)
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func (f *feed[T]) put(t T) {
	f.objects[key(t)] = t
	if f.owner == nil {
		return
	}
	uid := f.owner(t)
	if f.owned[uid] == nil {
		f.owned[uid] = map[string]T{}
	}
	f.owned[uid][key(t)] = t
}

func (f *feed[T]) remove(t T) {
	delete(f.objects, key(t))
	if f.owner == nil {
		return
	}
	uid := f.owner(t)
	if delete(f.owned[uid], key(t)); len(f.owned[uid]) == 0 {
		delete(f.owned, uid)
	}
}

// forget drops an object that has nothing more to say, unless a newer form of
// it has come.
func (f *feed[T]) forget(t T) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.objects[key(t)] == t {
		f.remove(t)
	}
}

// get returns the object of that name.
func (f *feed[T]) get(namespace, name string) (T, bool) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	t, ok := f.objects[namespace+"/"+name]
	return t, ok
}

// of returns the objects of an owner.
func (f *feed[T]) of(owner types.UID) []T {
	f.mu.RLock()
	defer f.mu.RUnlock()
	all := make([]T, 0, len(f.owned[owner]))
	for _, t := range f.owned[owner] {
		all = append(all, t)
	}
	return all
}

func (f *feed[T]) len() int {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return len(f.objects)
}

// take returns the changes since the last call.
func (f *feed[T]) take() []change[T] {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := f.changes
	f.changes = nil
	return all
}

// run hands changes over until done is closed and nothing is left.
func (f *feed[T]) run(done <-chan struct{}, hand func(change[T])) {
	for {
		batch := f.take()
		for i := range batch {
			hand(batch[i])
			if batch[i].kind == listed {
				f.syncedOnce()
			}
			batch[i] = change[T]{} // a batch may be a whole list: let go of it bit by bit
			f.backlog.add(-1)
		}
		if len(batch) > 0 {
			continue
		}
		select {
		case <-f.wake:
		case <-done:
			if len(f.wake) == 0 {
				return
			}
		}
	}
}

func (f *feed[T]) syncedOnce() {
	select {
	case <-f.synced:
	default:
		close(f.synced)
	}
}

func (f *feed[T]) hasSynced() bool {
	select {
	case <-f.synced:
		return true
	default:
		return false
	}
}
