package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/envision/resiliency/test/stack"
)

const (
	// streamerPatience bounds the publishing of everything.
	streamerPatience = 10 * time.Minute
	// clockTicks is what /proc counts CPU time in; 100 on every Linux that Go
	// supports (USER_HZ).
	clockTicks = 100
)

// measureStreamer takes the peak memory of an event-streamer that starts before
// very many finished Jobs with a pod each, over its whole life, the first list
// included, and its CPU time.
func measureStreamer(ctx context.Context, s *stack.Stack, bin string, r *Report, out io.Writer) (err error) {
	fmt.Fprintf(out, "creating %d finished Jobs with a pod each (about 4 min)\n", finishedJobs)
	p, err := s.NewProject(ctx, "rss")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close(ctx)) }()
	if err := createFinished(ctx, s.Kube(), p.Namespace, finishedJobs); err != nil {
		return err
	}
	fmt.Fprintln(out, "measuring event-streamer before them (about 1 min)")
	process, err := p.StartService(ctx, stack.ServiceSpec{Name: "event-streamer", Binary: filepath.Join(bin, "event-streamer")})
	if err != nil {
		return err
	}
	if err := awaitPublished(ctx, process); err != nil {
		return err
	}
	peak, cpu, err := usage(process.PID())
	if err != nil {
		return err
	}
	r.add("streamer_rss_20k_jobs_mib", "MiB", peak)
	r.add("streamer_cpu_s_per_1k_jobs", "s", cpu*1000/finishedJobs)
	return nil
}

// awaitPublished waits until the end of each Job is confirmed and nothing is
// pending.
func awaitPublished(ctx context.Context, process *stack.Process) error {
	deadline := time.Now().Add(streamerPatience)
	for {
		published, pending, err := streamerCounts(ctx, process)
		if err != nil {
			return err
		}
		if published >= finishedJobs && pending == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%.0f of %d ends were published within %s", published, finishedJobs, streamerPatience)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Second):
		}
	}
}

func streamerCounts(ctx context.Context, process *stack.Process) (published, pending float64, err error) {
	families, err := process.Metrics(ctx)
	if err != nil {
		return 0, 0, err
	}
	for _, m := range families["event_streamer_events_published_total"].GetMetric() {
		for _, label := range m.GetLabel() {
			if label.GetValue() == "status" {
				published += m.GetCounter().GetValue()
			}
		}
	}
	for _, m := range families["event_streamer_pending_facts"].GetMetric() {
		pending += m.GetGauge().GetValue()
	}
	return published, pending, nil
}

// usage reads a process's peak memory in MiB and its CPU time in seconds, as the
// kernel counts them.
func usage(pid int) (peakMiB, cpuSeconds float64, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, fmt.Errorf("read memory of process %d: %w", pid, err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			if err != nil {
				return 0, 0, fmt.Errorf("read memory of process %d: %w", pid, err)
			}
			peakMiB = kib / 1024
		}
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, fmt.Errorf("read CPU time of process %d: %w", pid, err)
	}
	// Behind the name, which may hold anything, utime and stime are the 12th and
	// 13th field (proc(5)).
	fields := strings.Fields(string(stat)[strings.LastIndexByte(string(stat), ')')+1:])
	for _, field := range fields[11:13] {
		ticks, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("read CPU time of process %d: %w", pid, err)
		}
		cpuSeconds += ticks / clockTicks
	}
	return peakMiB, cpuSeconds, nil
}
