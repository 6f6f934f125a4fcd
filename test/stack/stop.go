package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// stopBudget is what the services get between SIGTERM and SIGKILL when the
// stack stops: all of it must end within ten seconds.
const stopBudget = 6 * time.Second

// Stop ends everything: services first, politely, then the rest, by force. It
// reports services that did not end as asked or whose log holds a race report.
// Nothing that carries this run's mark survives it. A second call returns what
// the first did.
func (s *Stack) Stop() error {
	s.stopOnce.Do(func() { s.stopErr = s.stop() })
	return s.stopErr
}

func (s *Stack) stop() error {
	err := s.stopServices()
	if s.Firestore != nil {
		s.Firestore.Close()
	}
	if s.PubSub != nil {
		s.PubSub.Close()
	}
	err = errors.Join(err, s.killParts())
	s.spawner.Close()
	if _, sweep := s.mark.Sweep(3 * time.Second); sweep != nil {
		err = errors.Join(err, sweep)
	}
	if s.GCS != nil {
		err = errors.Join(err, s.GCS.close())
	}
	if s.Slack != nil {
		s.Slack.Close()
	}
	err = errors.Join(err, s.guard.Close(), s.removeTraces(), s.lock.Release())
	if err != nil {
		return fmt.Errorf("stop the stack in %s: %w", s.dir, err)
	}
	return nil
}

func (s *Stack) stopServices() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopBudget)
	defer cancel()
	s.mu.Lock()
	projects := s.projects
	s.mu.Unlock()
	errs := make([]error, len(projects))
	var all sync.WaitGroup
	for i, project := range projects {
		all.Go(func() { errs[i] = project.Close(ctx) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// killParts also reaches containers, which carry no mark.
func (s *Stack) killParts() error {
	errs := make(chan error, len(s.parts))
	for _, part := range s.parts {
		go func() {
			err := part.Kill()
			if errors.Is(err, ErrExternal) {
				err = nil
			}
			errs <- err
		}()
	}
	var all error
	for range len(s.parts) {
		all = errors.Join(all, <-errs)
	}
	return all
}

// removeTraces leaves only logs: what names a running stack must not survive it.
func (s *Stack) removeTraces() error {
	var all error
	for _, path := range []string{
		s.EnvPath(), s.Kubeconfig(), filepath.Join(s.dir, "pids"), filepath.Join(s.cluster.home(), "etcd"),
	} {
		all = errors.Join(all, os.RemoveAll(path))
	}
	return all
}
