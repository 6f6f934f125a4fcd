package letters

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"cloud.google.com/go/firestore"

	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/resilience"
)

// Placed says what storing a letter did.
type Placed string

// What storing a letter may do.
const (
	// PlacedNew: nobody had seen this message die.
	PlacedNew Placed = "new"
	// PlacedRepeat: it died before; its count rose.
	PlacedRepeat Placed = "repeat"
	// PlacedReopened: it died again of a replay and is open again.
	PlacedReopened Placed = "reopened"
	// PlacedDelivered: this very delivery is stored already.
	PlacedDelivered Placed = "delivered_before"
)

// AnnounceFunc says what goes out with the commit that opens a letter. It is
// given the letter as it will be stored; the same letter must give the same.
type AnnounceFunc func(l *Letter) ([]jobstore.Entry, error)

// Put stores a letter that has come: it creates it, counts it, or opens it
// again. It returns the letter since, and the outbox entries that were committed
// with it, to be published now.
//
// An error means that the letter may not be stored: of category permanent when
// Firestore refuses it as it is, dependency when Firestore does not answer.
func (s *Store) Put(ctx context.Context, a *Arrival, announce AnnounceFunc) (Letter, Placed, []jobstore.Entry, error) {
	for try := 1; ; try++ {
		l, placed, entries, err := s.place(ctx, a, announce)
		switch {
		case err == nil:
			return l, placed, entries, nil
		case !errors.Is(err, jobstore.ErrConflict):
		case try < maxTries:
			continue
		default:
			err = resilience.Retryable(fmt.Errorf("%w: %w", ErrContended, err))
		}
		return Letter{}, "", nil, fmt.Errorf("store letter %s: %w", a.Letter.ID, err)
	}
}

// place is one try. Most letters are new, so it begins with the create, which
// needs no read.
func (s *Store) place(ctx context.Context, a *Arrival, announce AnnounceFunc) (Letter, Placed, []jobstore.Entry, error) {
	fresh := begin(a, s.now())
	entries, err := s.create(ctx, &fresh, announce)
	if err == nil || !errors.Is(err, jobstore.ErrConflict) {
		return fresh, PlacedNew, entries, err
	}
	current, getErr := s.get(ctx, a.Letter.ID)
	switch {
	case errors.Is(getErr, ErrNotFound):
		return fresh, "", nil, err // it expired meanwhile: the conflict says to try again
	case getErr != nil:
		return fresh, "", nil, getErr
	}
	next, placed := arrive(&current, a, s.now())
	if placed == PlacedDelivered {
		return current, placed, nil, nil
	}
	entries, err = s.reopen(ctx, &next, placed, announce)
	return next, placed, entries, err
}

func (s *Store) create(ctx context.Context, l *Letter, announce AnnounceFunc) ([]jobstore.Entry, error) {
	entries, err := announce(l)
	if err != nil {
		return nil, err
	}
	ref, err := s.ref(collectionLetters, l.ID)
	if err != nil {
		return nil, err
	}
	batch := s.addEntries(s.batch().Create(ref, l), entries, l)
	l.UpdateTime, err = s.commit(ctx, batch)
	return entries, err
}

// reopen commits a letter that has come again; entries go out if it is opened.
func (s *Store) reopen(ctx context.Context, l *Letter, placed Placed, announce AnnounceFunc) ([]jobstore.Entry, error) {
	var entries []jobstore.Entry
	if placed == PlacedReopened {
		var err error
		if entries, err = announce(l); err != nil {
			return nil, err
		}
	}
	return entries, s.update(ctx, l, func(b *writeBatch) { s.addEntries(b, entries, l) })
}

// addEntries puts outbox entries into the commit. They overwrite what has their
// id: an entry tells of one episode of one letter, whatever delivery made it.
func (s *Store) addEntries(batch *writeBatch, entries []jobstore.Entry, l *Letter) *writeBatch {
	for i := range entries {
		entries[i].CreatedAt = l.LastSeenAt
		collection, fields := jobstore.OutboxDocument(&entries[i])
		batch.Set(s.db.Collection(collection).Doc(entries[i].ID), fields)
	}
	return batch
}

// update commits the fields of a letter that may change, unless somebody has
// changed it since it was read. more adds to the commit.
func (s *Store) update(ctx context.Context, l *Letter, more func(*writeBatch)) error {
	ref, err := s.ref(collectionLetters, l.ID)
	if err != nil {
		return err
	}
	batch := s.batch().Update(ref, l.changing(), firestore.LastUpdateTime(l.UpdateTime))
	if more != nil {
		more(batch)
	}
	at, err := s.commit(ctx, batch)
	if err == nil {
		l.UpdateTime = at
	}
	return err
}

// change reads a letter, has it changed, and commits that, reading again as
// often as somebody else was faster. An error of alter ends it, with the letter
// as it is.
func (s *Store) change(ctx context.Context, id string, alter alterFunc) (Letter, error) {
	l, err := s.get(ctx, id)
	if err != nil {
		return Letter{}, err
	}
	return s.changeFrom(ctx, &l, alter)
}

// alterFunc changes a letter and says what else to commit; nil is nothing.
type alterFunc func(l *Letter) (func(*writeBatch), error)

// changeFrom is change of a letter that was read or written just now: mostly it
// is still so, which spares reading it. It must be whole, so none of a list.
func (s *Store) changeFrom(ctx context.Context, known *Letter, alter alterFunc) (Letter, error) {
	l := *known
	for try := 1; ; try++ {
		l.Pending, l.History = slices.Clone(l.Pending), slices.Clone(l.History)
		more, err := alter(&l)
		if err != nil && try > 1 {
			return l, err
		}
		if err == nil {
			if err = s.update(ctx, &l, more); err == nil {
				return l, nil
			}
			if !errors.Is(err, jobstore.ErrConflict) {
				return l, err
			}
		}
		if try >= maxTries {
			return l, resilience.Retryable(fmt.Errorf("%w: %w", ErrContended, err))
		}
		if l, err = s.get(ctx, known.ID); err != nil {
			return Letter{}, err
		}
	}
}
