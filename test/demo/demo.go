// Package demo shows the whole system at work on one machine: real Kubernetes
// Jobs of several kinds run through the services, and every record is compared
// with what happened. Some messages die on the way, by their own fault or by that
// of a record that takes no commit: the letters are kept, and replayed. The demo
// fails if anything is wrong or lost.
//
// It only drives and compares; what runs is package stack's affair, and what is
// right is package drive's.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"cloud.google.com/go/firestore"
	"golang.org/x/sync/errgroup"

	"github.com/envision/resiliency/test/drive"
	"github.com/envision/resiliency/test/stack"
)

// Options say where the demo runs and how big it is.
type Options struct {
	// Dir is the run directory; the report is Dir/report.json.
	Dir string
	// ToolsDir holds the control plane's programs, BinDir the services'.
	ToolsDir, BinDir string
	// FilterFile is the path of logsink.FilterFile from here.
	FilterFile string
	// Jobs is how many Jobs are run beside those of which messages die; 200 is the
	// full demo.
	Jobs int
	// Out takes the progress and the table.
	Out io.Writer
}

// playWithin bounds the life of all Jobs: a demo that hangs shows nothing.
const playWithin = 10 * time.Minute

// patience is how long records may trail the end of the last Job.
const patience = 60 * time.Second

// ErrNotRight says that a record was wrong or a job was lost.
var ErrNotRight = errors.New("the records do not tell what happened")

// Run runs the demo and returns nil only if every record is right.
func Run(ctx context.Context, o Options) (err error) {
	begun := time.Now()
	s, err := stack.Start(ctx, stack.Options{Dir: o.Dir, ToolsDir: o.ToolsDir, Out: o.Out})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	fmt.Fprintf(o.Out, "Kubernetes %s, Firestore and Pub/Sub emulators are up; starting the services\n", s.ServerVersion())

	p, err := s.NewProject(ctx, "demo")
	if err != nil {
		return err
	}
	sink, err := p.StartProduct(ctx, o.BinDir, o.FilterFile)
	if err != nil {
		return err
	}
	client, err := p.Firestore(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()

	report, err := play(ctx, s, p, client, o)
	if err != nil {
		return err
	}
	if report.Sources, err = sources(ctx, s, p, sink); err != nil {
		return err
	}
	report.Seconds = time.Since(begun).Seconds()
	path := filepath.Join(o.Dir, "report.json")
	if err := report.Write(path); err != nil {
		return err
	}
	fmt.Fprintln(o.Out)
	report.Print(o.Out)
	fmt.Fprintf(o.Out, "report: %s, logs: %s\n", path, filepath.Join(o.Dir, "logs"))
	if !report.Right() {
		return fmt.Errorf("%w: %s", ErrNotRight, report.Summary())
	}
	return nil
}

// play runs all Jobs to their ends and waits for the records.
func play(ctx context.Context, s *stack.Stack, p *stack.Project, client *firestore.Client, o Options) (*drive.Report, error) {
	dead, err := newLetters(s, p)
	if err != nil {
		return nil, err
	}
	defer dead.letGo()
	driver, err := drive.New(ctx, s.Kube(), drive.Plan{
		Namespace: p.Namespace, Prefix: prefix, Scenarios: append(drive.Standard(o.Jobs), dead.scenario()),
	})
	if err != nil {
		return nil, err
	}
	defer driver.Close()
	stop := show(ctx, o.Out, driver, client)
	defer stop()
	playing, cancel := context.WithTimeoutCause(ctx, playWithin,
		fmt.Errorf("the Jobs have not all ended within %s; see the logs of the control plane", playWithin))
	defer cancel()
	var group errgroup.Group
	group.Go(func() error { return driver.Play(playing) })
	group.Go(func() error { return dead.play(playing) })
	if err := group.Wait(); err != nil {
		return nil, err
	}
	report, err := driver.Settle(ctx, client, patience)
	if err != nil {
		return nil, err
	}
	return report, dead.check(ctx, report)
}
