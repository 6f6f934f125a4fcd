package stack

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/envision/resiliency/test/stack/proc"
)

// ServiceSpec says how a service is started.
type ServiceSpec struct {
	// Name is the service's, or unique to the project when there are several of
	// one service. It names the log.
	Name string
	// Binary is the program.
	Binary string
	// Args are its arguments.
	Args []string
	// Env is added to the project's environment, "NAME=value"; it wins.
	Env []string
	// ListenEnv is the variable by which the service takes the address of its
	// public API ("LISTEN_ADDR"); empty for a service without one.
	ListenEnv string
	// Links are variables that take the URL of another service of the same
	// StartServices, by that service's name.
	Links map[string]string
	// NotReady starts without waiting for readiness, for tests of what happens
	// while a dependency is missing.
	NotReady bool

	// api is the port of the public API, 0 for any.
	api int
	// out is a file that takes standard output, "" for the log.
	out string
}

// StartService starts a service with the project's environment and an admin
// port of its own, and waits until it is ready. On an error it does not run.
func (p *Project) StartService(ctx context.Context, spec ServiceSpec) (*Process, error) {
	process, err := p.newProcess(spec)
	if err != nil {
		return nil, fmt.Errorf("start service %s: %w", spec.Name, err)
	}
	p.mu.Lock()
	p.processes = append(p.processes, process)
	p.mu.Unlock()
	if err := process.Start(ctx); err != nil {
		return nil, errors.Join(err, process.Kill())
	}
	return process, nil
}

// StartServices starts several at once and returns them in the given order.
func (p *Project) StartServices(ctx context.Context, specs ...ServiceSpec) ([]*Process, error) {
	specs, err := p.linked(specs)
	if err != nil {
		return nil, err
	}
	processes := make([]*Process, len(specs))
	group, ctx := errgroup.WithContext(ctx)
	for i, spec := range specs {
		group.Go(func() error {
			var err error
			processes[i], err = p.StartService(ctx, spec)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return processes, nil
}

// linked tells services the URLs of others. All start at once, so the ports of those
// are chosen before.
func (p *Project) linked(specs []ServiceSpec) ([]ServiceSpec, error) {
	specs = slices.Clone(specs)
	for i := range specs {
		for _, name := range slices.Sorted(maps.Keys(specs[i].Links)) {
			to := slices.IndexFunc(specs, func(s ServiceSpec) bool { return s.Name == specs[i].Links[name] && s.ListenEnv != "" })
			if to < 0 {
				return nil, fmt.Errorf("start service %s: no service %s with an API starts with it", specs[i].Name, specs[i].Links[name])
			}
			if specs[to].api == 0 {
				port, err := p.stack.ports.next()
				if err != nil {
					return nil, fmt.Errorf("start service %s: %w", specs[to].Name, err)
				}
				specs[to].api = port
			}
			// First, so that a value of the spec's own wins.
			specs[i].Env = append([]string{name + "=http://" + loopback(specs[to].api)}, specs[i].Env...)
		}
	}
	return specs, nil
}

func (p *Project) newProcess(spec ServiceSpec) (*Process, error) {
	binary, err := filepath.Abs(spec.Binary)
	if err != nil {
		return nil, fmt.Errorf("resolve binary %s: %w", spec.Binary, err)
	}
	spec.Binary = binary
	if err := CheckBinaries([]ServiceSpec{spec}); err != nil {
		return nil, err
	}
	admin, err := p.stack.ports.next()
	if err != nil {
		return nil, err
	}
	process := &Process{name: spec.Name, project: p, admin: "http://" + loopback(admin), notReady: spec.NotReady}
	env := append(p.Env(), "ADMIN_ADDR="+loopback(admin))
	if spec.ListenEnv != "" {
		api := spec.api
		if api == 0 {
			if api, err = p.stack.ports.next(); err != nil {
				return nil, err
			}
		}
		env = append(env, spec.ListenEnv+"="+loopback(api))
		process.url = "http://" + loopback(api)
	}
	process.process = proc.New(proc.Spec{
		Name: p.processName(spec.Name), Path: binary, Args: spec.Args, Env: append(env, spec.Env...), Dir: p.stack.dir, Out: spec.out,
	}, p.stack.mark, p.stack.spawner)
	return process, nil
}

// processName keeps the services of several projects apart; the one project of
// `make up` has the plain names.
func (p *Project) processName(service string) string {
	if p.ID == LocalProject {
		return service
	}
	return p.ID + "-" + service
}

// LocalProject is the project id of `make up`.
const LocalProject = "resiliency-local"
