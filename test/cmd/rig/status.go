package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/envision/resiliency/test/stack"
	"github.com/envision/resiliency/test/stack/proc"
)

type statusCmd struct {
	Dir string `default:".run" help:"Run directory."`
}

// Run asks the running system; it is an error if there is none.
func (c *statusCmd) Run(ctx context.Context) error {
	vars, err := runningEnv(c.Dir)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, vars.Get("STACK_CONTROL_URL")+"/status", nil)
	if err != nil {
		return fmt.Errorf("ask for the status: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask for the status: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	var status stack.Status
	if err := json.NewDecoder(response.Body).Decode(&status); err != nil {
		return fmt.Errorf("read the status: %w", err)
	}
	fmt.Printf("Kubernetes %s, parts: %s\n", status.Kubernetes, strings.Join(status.Parts, ", "))
	for _, s := range status.Services {
		fmt.Printf("%-22s %-10s process %-8d admin %s", s.Name, state(s), s.PID, s.AdminURL)
		if s.URL != "" {
			fmt.Printf("  pages %s", s.URL)
		}
		fmt.Println()
	}
	return nil
}

func state(s stack.ServiceStatus) string {
	switch {
	case s.Ready:
		return "ready"
	case s.Running:
		return "not ready"
	default:
		return "ended"
	}
}

// runningEnv reads the env file of the system that runs in dir.
func runningEnv(dir string) (stack.Vars, error) {
	_, running, err := proc.Holder(dir)
	if err != nil {
		return stack.Vars{}, err
	}
	text, readErr := os.ReadFile(stack.EnvPath(dir))
	if !running || readErr != nil {
		return stack.Vars{}, fmt.Errorf("nothing is up in %s: run `make up` first", dir)
	}
	return stack.ParseShell(string(text)), nil
}
