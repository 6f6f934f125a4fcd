package consume

import (
	"context"
	"fmt"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/envision/resiliency/pkg/jobstore"
)

// Records reads job records; *jobstore.Store is one.
type Records interface {
	Get(ctx context.Context, jobID string) (stored jobstore.Stored, found bool, err error)
}

// Bounds of what TenantCache remembers. A job that has no tenant yet may get one,
// so that is believed for seconds only.
const (
	tenantsKept  = 50_000
	tenantsFor   = time.Hour
	noTenantsFor = 5 * time.Second
)

// TenantCache finds out the tenants of jobs, from updates and else from their
// records, and remembers them. It is safe for concurrent use.
type TenantCache struct {
	records Records
	now     func() time.Time
	known   *lru.Cache[string, believed]
}

// believed is what a job's tenant was, "" for none, and until when that holds.
type believed struct {
	tenant string
	until  time.Time
}

// NewTenantCache returns an empty cache.
func NewTenantCache(records Records, now func() time.Time) *TenantCache {
	known, _ := lru.New[string, believed](tenantsKept) // fails only for a size of 0
	return &TenantCache{records: records, now: now, known: known}
}

// Learn keeps the tenant of a job.
func (c *TenantCache) Learn(jobID, tenant string) {
	c.known.Add(jobID, believed{tenant, c.now().Add(tenantsFor)})
}

// Of is the tenant of a job, "" while its record names none.
func (c *TenantCache) Of(ctx context.Context, jobID string) (string, error) {
	if b, ok := c.known.Get(jobID); ok && c.now().Before(b.until) {
		return b.tenant, nil
	}
	stored, found, err := c.records.Get(ctx, jobID)
	if err != nil {
		return "", fmt.Errorf("read record of job %s: %w", jobID, err)
	}
	if !found || stored.Record.Tenant.Value == "" {
		c.known.Add(jobID, believed{"", c.now().Add(noTenantsFor)})
		return "", nil
	}
	c.Learn(jobID, stored.Record.Tenant.Value)
	return stored.Record.Tenant.Value, nil
}
