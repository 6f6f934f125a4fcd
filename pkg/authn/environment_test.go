package authn_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/envision/resiliency/pkg/authn"
	"github.com/envision/resiliency/pkg/service"
)

// config is a service's configuration with this package's part.
type config struct {
	service.Common `embed:""`

	Auth authn.Config `embed:""`
}

func (c *config) Validate() error { return c.Auth.Validate() }

// load lets a service read its environment, and nothing more.
func load(t *testing.T, env map[string]string) (got *authn.Config, code int, output string) {
	t.Helper()
	var out bytes.Buffer
	env["GOOGLE_CLOUD_PROJECT"], env["ADMIN_ADDR"] = "p", "127.0.0.1:0"
	code = service.Run(t.Context(), service.Spec{
		Name: "tester", Stdout: &out, Stderr: &out,
		LookupEnv: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
	}, nil, func(_ context.Context, _ *service.Runtime, c *config) error { got = &c.Auth; return nil })
	return got, code, out.String()
}

func TestConfig_FromTheEnvironment(t *testing.T) {
	t.Parallel()
	got, code, output := load(t, map[string]string{
		"AUTH": "iap", "AUTH_AUDIENCE": "/projects/1/global/backendServices/2,other",
		"AUTH_VIEWERS": "ana@example.com=team-a,team-b;*@example.org=*", "AUTH_OPERATORS": "ops@example.com=team-a",
	})
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, output)
	}
	want := &authn.Config{
		Mode: authn.ModeIAP, Audiences: []string{"/projects/1/global/backendServices/2", "other"},
		Viewers: []string{"ana@example.com=team-a,team-b", "*@example.org=*"}, Operators: []string{"ops@example.com=team-a"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
}

func TestConfig_MustBeSaid(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		env  map[string]string
		want string
	}{
		"absent":  {map[string]string{}, "AUTH (--auth) is required but not set"},
		"unknown": {map[string]string{"AUTH": "trust"}, `AUTH (--auth): "trust" is not one of iap, oidc, none`},
	} {
		if _, code, output := load(t, tc.env); code != 2 || !strings.Contains(output, tc.want) {
			t.Errorf("%s: exit code %d: %s", name, code, output)
		}
	}
}
