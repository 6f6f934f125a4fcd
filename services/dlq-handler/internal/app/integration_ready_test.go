//go:build integration

package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"

	"github.com/envision/resiliency/pkg/messaging/topology"
)

// The pages stay when letters can no longer come: they read Firestore alone, and
// are looked at just then.
func TestIntegration_ReadyWithoutItsSubscription(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	api, _ := s.start(nil)
	admin := "http://" + regexp.MustCompile(`"admin_addr":"([^"]+)"`).FindStringSubmatch(s.out.String())[1]
	// It listens before it has looked for the subscription, without which it does not start.
	s.eventually("the service has started", func(ctx context.Context) error {
		if status, body := fetch(ctx, t, admin+"/readyz"); status != http.StatusOK {
			return fmt.Errorf("status %d: %s", status, body)
		}
		return nil
	})
	request := &pubsubpb.DeleteSubscriptionRequest{
		Subscription: topology.SubscriptionName(s.project, topology.SubscriptionDeadLettersDLQHandler),
	}
	if err := s.broker.SubscriptionAdminClient.DeleteSubscription(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	s.eventually("the subscription cannot be pulled", func(context.Context) error {
		if !strings.Contains(s.out.String(), "pull broke off") {
			return errors.New("not yet")
		}
		return nil
	})
	for _, address := range []string{admin + "/readyz", api + "/api/letters"} {
		if status, body := fetch(t.Context(), t, address); status != http.StatusOK {
			t.Errorf("%s: status %d: %s", address, status, body)
		}
	}
}

func fetch(ctx context.Context, t *testing.T, address string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(text)
}
