package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/envision/resiliency/test/stack"
)

// tenants are the namespaces that the local services watch.
var tenants = map[string]string{"default": "local", "jobs": "local"}

type serveCmd struct {
	places
	Nodes int `default:"3" help:"Simulated nodes."`
}

// Run starts everything, writes the env file and waits for a signal.
func (c *serveCmd) Run(ctx context.Context) (err error) {
	s, err := stack.Start(ctx, stack.Options{Dir: c.Dir, ToolsDir: c.Tools, Out: os.Stdout, Nodes: c.Nodes})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	project, err := s.OpenProject(ctx, stack.LocalProject, tenants)
	if err != nil {
		return err
	}
	if _, err := project.StartProduct(ctx, c.Bin, c.Filter); err != nil {
		return err
	}
	control, err := project.StartControl()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, control.Close()) }()
	if err := project.WriteEnv("STACK_CONTROL_URL", control.URL()); err != nil {
		return err
	}
	watch(ctx, project)
	<-ctx.Done()
	return nil
}

// watch tells of a service that ends by itself; the others go on.
func watch(ctx context.Context, project *stack.Project) {
	for _, process := range project.Processes() {
		exited := process.Exited()
		go func() {
			select {
			case <-exited:
				if err := process.Check(); err != nil {
					fmt.Println(err)
				}
			case <-ctx.Done():
			}
		}()
	}
}
