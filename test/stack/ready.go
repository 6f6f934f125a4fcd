package stack

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// readyWithin bounds a service's start: the race detector makes it slow, and
// several tests may start theirs at once.
const readyWithin = 60 * time.Second

// AwaitReady waits until /readyz answers 200, for 60 s at most; an end of the
// process ends the wait.
func (p *Process) AwaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	ticker := time.NewTicker(25 * time.Millisecond)
	defer ticker.Stop()
	for {
		last := get(ctx, p.admin+"/readyz")
		if last == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-p.Exited():
			return p.failure(fmt.Sprintf("ended with code %d before it was ready", p.ExitCode()))
		case <-ctx.Done():
			return p.failure(fmt.Sprintf("is not ready: %v", last))
		}
	}
}

func get(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("request %s: %w", url, err)
	}
	// No kept connection: it would outlive the stack.
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, response.Status)
	}
	return nil
}
