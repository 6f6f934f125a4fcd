package jobstore

import (
	"context"
	"sync"
)

// keyLocks lets one caller at a time work on a key; keys do not wait for each
// other. Two claims about one job in one process would otherwise only cost each
// other a failed commit.
type keyLocks struct {
	mu   sync.Mutex
	held map[string]*keyLock
}

type keyLock struct {
	// sem holds one token while the key is locked. A channel and not a mutex, so
	// that a waiter whose context ends can leave.
	sem chan struct{}
	// users counts holder and waiters; the last one removes the lock.
	users int
}

func newKeyLocks() *keyLocks { return &keyLocks{held: make(map[string]*keyLock)} }

// lock takes the key, or the context's error when that ends first. It returns
// the function that gives the key back, and whether somebody else had it.
func (k *keyLocks) lock(ctx context.Context, key string) (unlock func(), waited bool, err error) {
	l := k.enter(key)
	unlock = func() { <-l.sem; k.leave(key, l) }
	select {
	case l.sem <- struct{}{}:
		return unlock, false, nil
	default:
	}
	select {
	case l.sem <- struct{}{}:
		return unlock, true, nil
	case <-ctx.Done():
		k.leave(key, l)
		return nil, true, context.Cause(ctx)
	}
}

func (k *keyLocks) enter(key string) *keyLock {
	k.mu.Lock()
	defer k.mu.Unlock()
	l := k.held[key]
	if l == nil {
		l = &keyLock{sem: make(chan struct{}, 1)}
		k.held[key] = l
	}
	l.users++
	return l
}

func (k *keyLocks) leave(key string, l *keyLock) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if l.users--; l.users == 0 {
		delete(k.held, key)
	}
}
