package logsink

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"
)

// File is a log file and what GKE would say about it.
type File struct {
	// Path is the file; it need not exist yet.
	Path string
	// Offset is where to begin, in bytes: 0 for all of it, its size for what
	// comes from now on.
	Offset int64
	// Stream is Stdout or Stderr; empty means Stdout.
	Stream string
	// Container is whose output it is.
	Container Container
}

func (f *File) validate() error {
	var errs []error
	if f.Path == "" || f.Offset < 0 {
		errs = append(errs, fmt.Errorf("path %q and offset %d: want a path and no negative offset", f.Path, f.Offset))
	}
	if f.Stream == "" {
		f.Stream = Stdout
	}
	if f.Stream != Stdout && f.Stream != Stderr {
		errs = append(errs, fmt.Errorf("stream %q: want %s or %s", f.Stream, Stdout, Stderr))
	}
	if c := f.Container; c.Namespace == "" || c.Pod == "" || c.Name == "" {
		errs = append(errs, fmt.Errorf("container %+v: namespace, pod and name are required", c))
	}
	return errors.Join(errs...)
}

// pollEvery is how often a file is looked at.
const pollEvery = 50 * time.Millisecond

// fileSource turns the lines of a file into entries.
type fileSource struct {
	sink *Sink
	file File
	dice *dice
	tail tail
	// passes counts the times that the file was read to its end.
	passes atomic.Int64
}

// AddFile begins to read a file, at once when the sink runs, else when it does.
func (s *Sink) AddFile(file File) error {
	if err := file.validate(); err != nil {
		return fmt.Errorf("log file %s: %w", file.Path, err)
	}
	name := fmt.Sprintf("file/%s/%s/%s/%s/%s", file.Container.Namespace, file.Container.Pod, file.Container.Name,
		file.Stream, filepath.Base(file.Path))
	return s.start(&fileSource{
		sink: s, file: file, dice: s.cfg.Faults.dice(name), tail: tail{path: file.Path, offset: file.Offset},
	})
}

func (f *fileSource) run(ctx context.Context) error {
	defer f.tail.close()
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		if err := f.tail.poll(f.emit); err != nil {
			f.sink.cfg.Log.Warn().Err(err).Msg("a log cannot be read; trying again")
		}
		f.passes.Add(1)
		f.sink.changed.fire()
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (f *fileSource) emit(line []byte, cut bool) {
	s := f.sink
	s.count(func(c *Counts) { c.Lines++ })
	now := time.Now()
	s.write(f.dice, s.cfg.Place.entryOfLine(f.file.Container, f.file.Stream, line, cut, now), nil)
}

// caughtUp waits until what the file holds now has been read: until a reading
// ends that began after the call.
func (f *fileSource) caughtUp(ctx context.Context) error {
	target := f.passes.Load() + 2
	return f.sink.await(ctx, func() bool { return f.passes.Load() >= target })
}
