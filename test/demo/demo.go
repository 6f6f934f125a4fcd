// Package demo shows the whole system at work on one machine: real Kubernetes
// Jobs of several kinds run through the services, and every record is compared
// with what happened. Some messages die on the way, by their own fault or by that
// of a record that takes no commit: the letters are kept, and replayed. Some jobs
// get stuck, wait for room, or end while nobody watches: recovery-job finds them.
// The demo fails if anything is wrong or lost.
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

// demo is what a demo is made of.
type demo struct {
	Options

	stack    *stack.Stack
	project  *stack.Project
	sink     *stack.LogSink
	client   *firestore.Client
	product  *product
	recovery *recovery
}

// Run runs the demo and returns nil only if every record is right.
func Run(ctx context.Context, o Options) (err error) {
	begun := time.Now()
	s, err := stack.Start(ctx, stack.Options{Dir: o.Dir, ToolsDir: o.ToolsDir, Out: o.Out})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	fmt.Fprintf(o.Out, "Kubernetes %s, Firestore and Pub/Sub emulators are up; starting the services\n", s.ServerVersion())

	d := &demo{Options: o, stack: s}
	stop, err := d.start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	report, err := d.play(ctx)
	if err != nil {
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

// start starts the services and the product around them; stop ends the latter.
func (d *demo) start(ctx context.Context) (stop func() error, err error) {
	if d.project, err = d.stack.NewProject(ctx, "demo"); err != nil {
		return nil, err
	}
	if d.sink, err = d.project.StartProduct(ctx, d.BinDir, d.FilterFile); err != nil {
		return nil, err
	}
	if d.client, err = d.project.Firestore(ctx); err != nil {
		return nil, err
	}
	if d.recovery, err = newRecovery(d.stack, d.project, d.client, d.BinDir); err != nil {
		return nil, errors.Join(err, d.client.Close())
	}
	product, end, err := startProduct(ctx, d.stack, d.project)
	if err != nil {
		return nil, errors.Join(err, d.client.Close())
	}
	d.product = product
	return func() error { return errors.Join(end(), d.client.Close()) }, nil
}

// play runs all Jobs: first those that somebody watches, then the others.
func (d *demo) play(ctx context.Context) (*drive.Report, error) {
	report, err := d.watched(ctx)
	if err != nil || !report.Right() {
		return report, err
	}
	if report.Sources, err = sources(ctx, d.stack, d.project, d.sink); err != nil {
		return nil, err
	}
	fmt.Fprintf(d.Out, "Everything that watches is killed: %d Jobs end and are forgotten meanwhile\n", 2*stuckJobs)
	last, err := newUnwatched(ctx, d.stack, d.project, d.sink, d.recovery)
	if err != nil {
		return nil, err
	}
	defer last.driver.Close()
	rest, err := last.play(ctx)
	if err != nil {
		return nil, err
	}
	report.Append(rest)
	return report, d.toldRight(ctx, last.driver)
}

// watched runs the Jobs that somebody watches to their ends and waits for the
// records.
func (d *demo) watched(ctx context.Context) (*drive.Report, error) {
	dead, err := newLetters(d.stack, d.project)
	if err != nil {
		return nil, err
	}
	defer dead.letGo()
	lost := &stuck{kube: d.stack.Kube(), product: d.product, recovery: d.recovery}
	// Those that wait for something first: the others fill the time.
	scenarios := append(lost.scenarios(), append(drive.Standard(d.Jobs), dead.scenario())...)
	driver, err := drive.New(ctx, d.stack.Kube(), drive.Plan{Namespace: d.project.Namespace, Prefix: prefix, Scenarios: scenarios})
	if err != nil {
		return nil, err
	}
	defer driver.Close()
	stop := show(ctx, d.Out, driver, d.client)
	defer stop()
	playing, cancel := context.WithTimeoutCause(ctx, playWithin,
		fmt.Errorf("the Jobs have not all ended within %s; see the logs of the control plane", playWithin))
	defer cancel()
	group, playing := errgroup.WithContext(playing)
	group.Go(func() error { return driver.Play(playing) })
	group.Go(func() error { return dead.play(playing) })
	group.Go(func() error { return lost.play(playing, driver) })
	if err := group.Wait(); err != nil {
		return nil, err
	}
	report, err := driver.Settle(ctx, d.client, patience)
	if err != nil {
		return nil, err
	}
	if err := dead.check(ctx, report); err != nil || !report.Right() {
		return report, err
	}
	for scenario, kinds := range map[string][]string{
		stuckBackend: {drive.Failed}, stuckFaces: {drive.Succeeded}, highLoad: {toldDelayed, drive.Succeeded},
	} {
		if err := d.product.told.expect(ctx, driver.Names(scenario), kinds...); err != nil {
			return nil, err
		}
	}
	return report, nil
}

// toldRight checks what the users of the jobs were told that ended unwatched.
func (d *demo) toldRight(ctx context.Context, driver *drive.Driver) error {
	return errors.Join(
		d.product.told.expect(ctx, driver.Names(unseen), drive.Succeeded),
		d.product.told.expect(ctx, driver.Names(forgotten), drive.Failed),
	)
}
