package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/envision/resiliency/test/deadmail"
	"github.com/envision/resiliency/test/stack"
)

const (
	// keptLetters are in the store, and letterPage is a page of their list, the
	// usual one.
	keptLetters, letterPage = 50_000, 50
)

// measureLetters takes what the list of dead letters costs, and the memory of
// dlq-handler in a burst of large letters.
func measureLetters(ctx context.Context, s *stack.Stack, o Options, r *Report) error {
	if err := measureLetterList(ctx, s, o, r); err != nil {
		return fmt.Errorf("list of letters: %w", err)
	}
	if err := measureLetterMemory(ctx, s, o, r); err != nil {
		return fmt.Errorf("burst of letters: %w", err)
	}
	return nil
}

// measureLetterList counts and times pages of the list as a caller of the API
// gets them.
func measureLetterList(ctx context.Context, s *stack.Stack, o Options, r *Report) (err error) {
	fmt.Fprintf(o.Out, "storing %d dead letters (about 15 s)\n", keptLetters)
	p, err := s.NewProject(ctx, "letters")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close(ctx)) }()
	client, err := p.Firestore(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	if err := deadmail.Fill(ctx, client, keptLetters, time.Now()); err != nil {
		return err
	}
	api, err := startLetterAPI(ctx, p, o.BinDir)
	if err != nil {
		return err
	}
	defer api.close()
	fmt.Fprintln(o.Out, "measuring the list of dead letters (about 2 min)")
	worst, err := readsPerRow(ctx, s, p, api, o.Out)
	if err != nil {
		return err
	}
	r.add("dead_letter_list_reads_per_row", "documents", worst)
	medians, err := race(ctx, []contender{
		{"service", api.round}, {"bare", (&barePages{client}).round},
	})
	if err != nil {
		return err
	}
	r.addRatio("dead_letter_list_50k", "ms", 1000/medians[0], 1000/medians[1])
	return nil
}
