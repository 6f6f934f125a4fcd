package app

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/envision/resiliency/pkg/service"
)

// run lets the service read its configuration, and nothing more.
func run(t *testing.T, env map[string]string) (code int, output string, cfg *Config) {
	t.Helper()
	var out bytes.Buffer
	code = service.Main(service.Spec{
		Name: serviceName, Stdout: &out, Stderr: &out,
		LookupEnv: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
	}, nil, func(_ context.Context, _ *service.Runtime, c *Config) error {
		cfg = c
		return nil
	})
	return code, out.String(), cfg
}

func TestConfig_Defaults(t *testing.T) {
	t.Parallel()
	code, output, cfg := run(t, map[string]string{
		"GOOGLE_CLOUD_PROJECT": "p", "ADMIN_ADDR": "127.0.0.1:0", "AUTH": "none", "HTTP_ADDR": "127.0.0.1:0",
	})
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, output)
	}
	want := &Config{
		FirestoreDatabase: "(default)", FirestoreTimeout: 10 * time.Second, Shards: 16,
		MaxOutstanding: 2000, MaxOutstandingBytes: 32 << 20, PhaseTTL: 30 * 24 * time.Hour,
	}
	if diff := cmp.Diff(want, cfg, cmpopts.IgnoreFields(Config{}, "Common", "HTTP", "Auth")); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
}

func TestConfig_SaysAllThatIsWrong(t *testing.T) {
	t.Parallel()
	code, output, _ := run(t, map[string]string{
		"AUTH": "none", "HTTP_ADDR": "0.0.0.0:8080", "SHARDS": "0", "MAX_OUTSTANDING": "-1", "MAX_OUTSTANDING_BYTES": "5",
		"FIRESTORE_TIMEOUT": "1h", "PHASE_TTL": "1s", "PHASE_TTL_TENANTS": "video=forever", "LETTERS_URL": "javascript:alert(1)",
	})
	if code != 2 {
		t.Errorf("exit code %d, want 2", code)
	}
	for _, want := range []string{
		"GOOGLE_CLOUD_PROJECT", "SHARDS (--shards): must be from 1 to 1024, is 0", "MAX_OUTSTANDING (--max-outstanding)",
		"MAX_OUTSTANDING_BYTES (--max-outstanding-bytes)", "FIRESTORE_TIMEOUT (--firestore-timeout): must be from 100ms to 1m, is 1h0m0s",
		"PHASE_TTL", `"video=forever" is not tenant=duration`, "LETTERS_URL (--letters-url)", "HTTP_ADDR",
	} {
		if !strings.Contains(output, want) {
			t.Errorf("output lacks %q:\n%s", want, output)
		}
	}
}
