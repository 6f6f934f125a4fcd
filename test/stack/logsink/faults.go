package logsink

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"time"
)

// Faults are what the sink does to the entries that pass its filter. The zero
// value is a perfect sink. Fractions are 0 to 1. What happens to the n-th
// passing entry of a source depends on Seed, the source and n alone.
type Faults struct {
	// Seed chooses among the possible courses of events.
	Seed uint64
	// MinLag and MaxLag bound how long an entry takes; the order is kept. In
	// production 6 to 9 seconds were seen.
	MinLag, MaxLag time.Duration
	// Loss is the fraction that never arrives.
	Loss float64
	// Repeat is the fraction that arrives twice, the second time after another lag.
	Repeat float64
	// SameID is the fraction of the repeats that keep the insert id, as Pub/Sub
	// repeats; the others are written twice, as an exporter does that retries.
	SameID float64
	// Reorder is the fraction that is held back for up to ReorderBy, so that
	// later ones overtake.
	Reorder   float64
	ReorderBy time.Duration
}

func (f Faults) validate() error {
	var errs []error
	for name, fraction := range map[string]float64{
		"Loss": f.Loss, "Repeat": f.Repeat, "SameID": f.SameID, "Reorder": f.Reorder,
	} {
		if !(fraction >= 0 && fraction <= 1) {
			errs = append(errs, fmt.Errorf("fault %s is %v, want 0 to 1", name, fraction))
		}
	}
	if f.MinLag < 0 || f.MaxLag < f.MinLag {
		errs = append(errs, fmt.Errorf("faults MinLag %v and MaxLag %v: want 0 <= MinLag <= MaxLag", f.MinLag, f.MaxLag))
	}
	if f.ReorderBy < 0 || f.Reorder > 0 && f.ReorderBy == 0 {
		errs = append(errs, fmt.Errorf("fault ReorderBy is %v, want more than 0 with Reorder", f.ReorderBy))
	}
	return errors.Join(errs...)
}

// fate is what happens to one entry.
type fate struct {
	lost, repeated, sameID bool
	// lag is the entry's, held what reordering adds; repeatLag is the second copy's.
	lag, held, repeatLag time.Duration
}

// dice decides the fates of one source's entries, one after the other.
type dice struct {
	faults Faults
	random *rand.Rand
}

func (f Faults) dice(source string) *dice {
	name := fnv.New64a()
	_, _ = name.Write([]byte(source)) // a hash never fails
	return &dice{faults: f, random: rand.New(rand.NewPCG(f.Seed, name.Sum64()))}
}

// next draws the same numbers whatever the faults are, so that one more kind of
// fault does not change whom the others hit.
func (d *dice) next() fate {
	f, r := d.faults, d.random
	loss, repeat, sameID, reorder := r.Float64(), r.Float64(), r.Float64(), r.Float64()
	lag, held, repeatLag := r.Float64(), r.Float64(), r.Float64()
	spread := float64(f.MaxLag - f.MinLag)
	out := fate{
		lost: loss < f.Loss, repeated: repeat < f.Repeat, sameID: sameID < f.SameID,
		lag: f.MinLag + time.Duration(lag*spread), repeatLag: f.MinLag + time.Duration(repeatLag*spread),
	}
	if reorder < f.Reorder {
		out.held = time.Duration((1 - held) * float64(f.ReorderBy)) // never 0
	}
	return out
}
