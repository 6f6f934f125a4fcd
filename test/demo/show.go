package demo

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"cloud.google.com/go/firestore"
	"github.com/mattn/go-isatty"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/envision/resiliency/test/drive"
)

// progress is how far the Jobs are, counted where each step really happens.
type progress struct{ created, ended, correct int }

// show draws the progress until stop is called: bars on a terminal, else a
// line every few seconds.
func show(ctx context.Context, out io.Writer, d *drive.Driver, client *firestore.Client) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	draw, every := lines(out, d.Jobs()), 5*time.Second
	if file, ok := out.(*os.File); ok && isatty.IsTerminal(file.Fd()) {
		draw, every = bars(out, d.Jobs(), d.InKubernetes()), 250*time.Millisecond
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				draw(look(context.WithoutCancel(ctx), d, client), true)
				return
			case <-ticker.C:
				draw(look(ctx, d, client), false)
			}
		}
	})
	return func() { cancel(); wg.Wait() }
}

// look counts. A failed look shows no records: the check at the end decides.
func look(ctx context.Context, d *drive.Driver, client *firestore.Client) progress {
	p := progress{created: d.Created()}
	for _, f := range d.Truth().Facts() {
		if f.State != "" {
			p.ended++
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if report, err := d.Check(ctx, client); err == nil {
		p.correct = report.Correct
	}
	return p
}

// lines writes one line each time.
func lines(out io.Writer, jobs int) func(progress, bool) {
	begun := time.Now()
	return func(p progress, _ bool) {
		fmt.Fprintf(out, "%4.0f s  jobs begun %d/%d, ended in Kubernetes %d, records correct %d\n",
			time.Since(begun).Seconds(), p.created, jobs, p.ended, p.correct)
	}
}

// bars draws three bars on a terminal.
func bars(out io.Writer, jobs, inKubernetes int) func(progress, bool) {
	container := mpb.New(mpb.WithOutput(out), mpb.WithWidth(48))
	bar := func(name string, total int) *mpb.Bar {
		return container.AddBar(int64(total),
			mpb.PrependDecorators(decor.Name(name, decor.WCSyncSpaceR), decor.CountersNoUnit("%d/%d", decor.WCSyncSpace)),
			mpb.AppendDecorators(decor.Elapsed(decor.ET_STYLE_GO)))
	}
	created, ended, correct := bar("jobs begun", jobs), bar("ended in Kubernetes", inKubernetes), bar("records correct", jobs)
	return func(p progress, last bool) {
		created.SetCurrent(int64(p.created))
		ended.SetCurrent(int64(p.ended))
		correct.SetCurrent(int64(p.correct))
		if last {
			for _, b := range []*mpb.Bar{created, ended, correct} {
				b.Abort(false) // does nothing to one that is full
			}
			container.Wait()
		}
	}
}
