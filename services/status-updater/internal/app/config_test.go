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
func run(t *testing.T, env map[string]string, args ...string) (code int, output string, cfg *Config) {
	t.Helper()
	var out bytes.Buffer
	code = service.Main(service.Spec{
		Name: serviceName, Stdout: &out, Stderr: &out,
		LookupEnv: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
	}, args, func(_ context.Context, _ *service.Runtime, c *Config) error {
		cfg = c
		return nil
	})
	return code, out.String(), cfg
}

func TestConfig_Defaults(t *testing.T) {
	t.Parallel()
	code, output, cfg := run(t, map[string]string{"GOOGLE_CLOUD_PROJECT": "p", "ADMIN_ADDR": "127.0.0.1:0"})
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, output)
	}
	want := &Config{
		FirestoreDatabase: "(default)", FirestoreTimeout: 2 * time.Second, Shards: 16, CacheSize: 4096,
		MaxOutstanding: 256, SweepEvery: time.Minute, HeartbeatEvery: 30 * time.Second,
		WitnessNamespace: "resiliency", WitnessContainer: "event-streamer-witness",
		ExpectedSources: []string{"event_streamer", "log_witness"}, SilenceAfter: 5 * time.Minute,
	}
	if diff := cmp.Diff(want, cfg, cmpopts.IgnoreFields(Config{}, "Common")); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
}

func TestConfig_SaysAllThatIsWrong(t *testing.T) {
	t.Parallel()
	code, output, _ := run(t, map[string]string{
		"SHARDS": "0", "MAX_OUTSTANDING": "1", "CACHE_SIZE": "-2", "SWEEP_EVERY": "0s",
		"HEARTBEAT_EVERY": "-1s", "FIRESTORE_TIMEOUT": "1h",
		"EXPECTED_SOURCES": "event_streamer,oracle", "SILENCE_AFTER": "10ms",
	})
	if code != 2 {
		t.Errorf("exit code %d, want 2", code)
	}
	for _, want := range []string{
		"GOOGLE_CLOUD_PROJECT", "SHARDS (--shards): must be from 1 to 1024, is 0", "MAX_OUTSTANDING (--max-outstanding): must be 2 or more, is 1",
		"CACHE_SIZE (--cache-size)", "SWEEP_EVERY (--sweep-every)", "HEARTBEAT_EVERY (--heartbeat-every)",
		"FIRESTORE_TIMEOUT (--firestore-timeout): must be from 100ms to 1m, is 1h0m0s",
		`EXPECTED_SOURCES (--expected-sources): must be names of sources such as event_streamer, is "oracle"`,
		"SILENCE_AFTER (--silence-after): must be 1s or more, is 10ms",
	} {
		if !strings.Contains(output, want) {
			t.Errorf("output lacks %q:\n%s", want, output)
		}
	}
}
