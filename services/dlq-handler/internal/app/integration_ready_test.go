//go:build integration

package app

import (
	"context"
	"errors"
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
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("%s: status %d: %s", address, res.StatusCode, body)
		}
	}
}
