package app

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func valid() Config {
	return Config{
		Cluster: "gpu-east", Namespaces: "ml=vision, etl=data", Workers: 16, MaxPending: 1, StallLimit: time.Minute,
		Capsules: Capsules{Enabled: true, Bucket: "capsules", Workers: 4, Timeout: 10 * time.Second},
		Election: Election{Duration: 15 * time.Second, RenewDeadline: 8 * time.Second, RetryPeriod: time.Second},
	}
}

func TestConfig_Validate(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		edit func(*Config)
		want []string
	}{
		{"good", func(*Config) {}, nil},
		{"absent_is_told_by_the_tags", func(c *Config) { c.Cluster, c.Namespaces = "", "" }, nil},
		{"everything_at_once", func(c *Config) {
			*c = Config{Cluster: "a/b", Namespaces: "ml,Etl=data,x=,x=a,x=b", Capsules: Capsules{Bucket: "gs://b"}, Election: Election{Namespace: "A", Name: "a/b", WatermarkNamespace: "b_"}}
		}, []string{
			`CLUSTER`, `"ml" is not of the form`, `"Etl" is not the name of a namespace`, `"" is not the name of a tenant`,
			`"x" is given twice`, `WORKERS`, `MAX_PENDING`, `STALL_LIMIT`, `CAPSULE_BUCKET`, `CAPSULE_WORKERS`, `CAPSULE_TIMEOUT`,
			`LEASE_NAMESPACE`, `WATERMARK_NAMESPACE`, `LEASE_NAME`, `RETRY_PERIOD`, `RENEW_DEADLINE`, `LEASE_DURATION`,
		}},
		{"trailing_comma", func(c *Config) { c.Namespaces = "ml=vision," }, []string{`"" is not of the form`}},
		{"too_many_workers", func(c *Config) { c.Workers = 257 }, []string{"WORKERS (--workers): must be from 1 to 256, is 257"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := valid()
			c.edit(&cfg)
			var got []string
			if err := cfg.Validate(); err != nil {
				got = strings.Split(err.Error(), "\n")
			}
			if len(got) != len(c.want) {
				t.Fatalf("%d errors, want %d: %q", len(got), len(c.want), got)
			}
			for i := range got {
				if !strings.Contains(got[i], c.want[i]) {
					t.Errorf("error %q, want %q in it", got[i], c.want[i])
				}
			}
		})
	}
}

func TestConfig_tenants(t *testing.T) {
	t.Parallel()
	cfg := valid()
	got, err := cfg.tenants()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"ml": "vision", "etl": "data"}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"etl", "ml"}, namespaces(got)); diff != "" {
		t.Error(diff)
	}
}
