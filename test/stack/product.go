package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/envision/resiliency/test/stack/logsink"
	"github.com/envision/resiliency/test/stack/proc"
)

// sinkLog is the log of the log sink; it stays empty while all is well.
const sinkLog = "log-sink"

// WitnessContainer is where GKE runs the log witness. status-updater trusts
// what this container prints, by its defaults.
func WitnessContainer() logsink.Container {
	return logsink.Container{Namespace: "resiliency", Pod: WitnessName + "-0", Name: WitnessName}
}

// usualLag is how late the log is on one machine: late enough to come second,
// as it does in production (6 to 9 s), and nobody waits long for it.
func usualLag() logsink.Faults {
	return logsink.Faults{Seed: 1, MinLag: 500 * time.Millisecond, MaxLag: 2 * time.Second}
}

// StartProduct starts the whole product: all services, from programs in binDir,
// and the log sink that carries what the log witness prints and the cluster's
// Events. filterFile is the path of logsink.FilterFile from here. All of it ends
// with the project.
func (p *Project) StartProduct(ctx context.Context, binDir, filterFile string) (*LogSink, error) {
	log, err := os.Create(proc.LogPath(p.stack.dir, p.processName(sinkLog)))
	if err != nil {
		return nil, fmt.Errorf("create the log of the log sink: %w", err)
	}
	// Before the services, so that no Event of their Jobs is missed.
	sink, err := p.StartLogSink(ctx, SinkSpec{
		FilterFile: filterFile, Witness: WitnessContainer(), Faults: usualLag(),
		Log: zerolog.New(log).With().Timestamp().Logger(),
	})
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	end := sink.stop
	sink.stop = sync.OnceValue(func() error { return errors.Join(end(), log.Close()) })
	processes, err := p.StartServices(ctx, Services(binDir)...)
	if err != nil {
		return nil, err
	}
	for _, process := range processes {
		if process.Name() != WitnessName {
			continue
		}
		if err := sink.Follow(process, WitnessContainer()); err != nil {
			return nil, fmt.Errorf("follow the log of %s: %w", WitnessName, err)
		}
	}
	return sink, nil
}
