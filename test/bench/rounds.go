package bench

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// warmups is how many rounds are played and thrown away: the emulators' JVM
	// needs some thousand calls before it runs at its own speed.
	warmups = 2
	rounds  = 5
)

// contender is one way to do the thing that is measured.
type contender struct {
	name string
	// round does the work once and returns how many operations it did.
	round func(ctx context.Context, round int) (operations int, err error)
}

// race plays the contenders in turn, round after round, so that whatever else
// the machine does meets all of them, and returns each one's median operations
// per second.
func race(ctx context.Context, contenders []contender) ([]float64, error) {
	speeds := make([][]float64, len(contenders))
	for n := range warmups + rounds {
		for i, c := range contenders {
			begun := time.Now()
			operations, err := c.round(ctx, n)
			if err != nil {
				return nil, err
			}
			if n >= warmups {
				speeds[i] = append(speeds[i], float64(operations)/time.Since(begun).Seconds())
			}
		}
	}
	medians := make([]float64, len(contenders))
	for i := range speeds {
		slices.Sort(speeds[i])
		medians[i] = speeds[i][len(speeds[i])/2]
	}
	return medians, nil
}

// spread runs so many workers, each doing its steps in order, and returns the
// first error.
func spread(ctx context.Context, workers, steps int, do func(ctx context.Context, worker, step int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for s := range steps {
				if ctx.Err() != nil {
					return
				}
				if err := do(ctx, w, s); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}
