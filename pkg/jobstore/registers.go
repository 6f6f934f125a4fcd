package jobstore

import (
	"time"

	"github.com/envision/resiliency/pkg/job"
)

// register is one part of a record that is merged by itself, as it stands in
// the document under merge. Zero fields are left out; fields is nil for a
// register that knows nothing.
type register struct {
	name   string
	fields map[string]any
}

const registerCount = 10

// Names of the registers.
const (
	registerStatus        = "status"
	registerCause         = "cause"
	registerDelayed       = "delayed"
	registerVanished      = "vanished"
	registerOwner         = "owner"
	registerTenant        = "tenant"
	registerCorrelationID = "correlation_id"
	registerOutputURI     = "output_uri"
	registerKubernetes    = "kubernetes"
	registerStarted       = "started"
)

// registerAt builds the register of that index, 0 to registerCount less one.
func registerAt(r *job.Record, i int) register {
	switch i {
	case 0:
		return register{registerStatus, statusFields(&r.Status)}
	case 1:
		return register{registerCause, causeClaimFields(&r.Cause)}
	case 2:
		return register{registerDelayed, markFields(&r.Delayed)}
	case 3:
		return register{registerVanished, markFields(&r.Vanished)}
	case 4:
		return register{registerOwner, describedFields(&r.Owner)}
	case 5:
		return register{registerTenant, describedFields(&r.Tenant)}
	case 6:
		return register{registerCorrelationID, describedFields(&r.CorrelationID)}
	case 7:
		return register{registerOutputURI, describedFields(&r.OutputURI)}
	case 8:
		return register{registerKubernetes, kubernetesClaimFields(&r.Kubernetes)}
	default:
		return register{registerStarted, startFields(&r.Started)}
	}
}

// differing says which registers differ, in the order of registerAt. Times have
// one form (UTC, microseconds), so == is exact; an exit code behind another
// pointer counts as different, which costs a field and no more.
func differing(a, b *job.Record) [registerCount]bool {
	return [registerCount]bool{
		a.Status != b.Status, a.Cause != b.Cause, a.Delayed != b.Delayed, a.Vanished != b.Vanished,
		a.Owner != b.Owner, a.Tenant != b.Tenant, a.CorrelationID != b.CorrelationID,
		a.OutputURI != b.OutputURI, a.Kubernetes != b.Kubernetes, a.Started != b.Started,
	}
}

// compact builds a map without zero values.
type compact map[string]any

func (c compact) str(name, value string) {
	if value != "" {
		c[name] = value
	}
}

func (c compact) num(name string, value int64) {
	if value != 0 {
		c[name] = value
	}
}

func (c compact) flag(name string, value bool) {
	if value {
		c[name] = true
	}
}

func (c compact) time(name string, value time.Time) {
	if !value.IsZero() {
		c[name] = value
	}
}

// done is the finished map, or nil when nothing was put in.
func (c compact) done() map[string]any {
	if len(c) == 0 {
		return nil
	}
	return c
}

func (c compact) life(l *job.Life) {
	c.num("attempt", int64(l.Attempt))
	c.num("ordinal", int64(l.Ordinal))
	c.str("stage", l.Stage)
	c.time("created_at", l.CreatedAt)
	c.str("uid", l.UID)
}

func statusFields(s *job.Status) map[string]any {
	c := make(compact, 12)
	c.life(&s.Life)
	if s.State != job.StateUnspecified {
		c["state"] = job.StateName(s.State)
	}
	if s.Evidence != job.EvidenceNone {
		c["evidence"] = job.EvidenceName(s.Evidence)
	}
	c.flag("stage_done", s.StageDone)
	c.time("occurred_at", s.OccurredAt)
	c.num("generation", s.Generation)
	c.str("detail", s.Detail)
	return c.done()
}

func causeClaimFields(claim *job.CauseClaim) map[string]any {
	c := compact(causeFields(&claim.CauseDetail))
	c.life(&claim.Life)
	c.time("occurred_at", claim.OccurredAt)
	return c.done()
}

func causeFields(d *job.CauseDetail) map[string]any {
	c := make(compact, 13)
	if d.Cause != job.CauseUnspecified {
		c["cause"] = job.CauseName(d.Cause)
	}
	c.str("message", d.Message)
	c.str("reason", d.Reason)
	c.str("pod", d.Pod)
	c.str("container", d.Container)
	if d.ExitCode != nil {
		c["exit_code"] = int64(*d.ExitCode) // 0 is a code, so it is not left out
	}
	c.str("node", d.Node)
	return c
}

func markFields(m *job.Mark) map[string]any {
	c := make(compact, 8)
	c.life(&m.Life)
	c.time("occurred_at", m.OccurredAt)
	c.flag("set", m.Set)
	c.str("reason", m.Reason)
	return c.done()
}

func describedFields(d *job.Described) map[string]any {
	c := make(compact, 3)
	c.str("value", d.Value)
	c.num("attempt", int64(d.Attempt))
	c.num("source_rank", int64(d.SourceRank))
	c.time("occurred_at", d.OccurredAt)
	return c.done()
}

func kubernetesClaimFields(k *job.KubernetesClaim) map[string]any {
	c := make(compact, 9)
	c.num("attempt", int64(k.Attempt))
	c.num("ordinal", int64(k.Ordinal))
	c.str("stage", k.Stage)
	c.str("cluster", k.Cluster)
	c.str("namespace", k.Namespace)
	c.str("name", k.Name)
	c.str("uid", k.UID)
	c.time("created_at", k.CreatedAt)
	if k.End != job.StageEndUnknown {
		c["stage_final"] = k.End == job.StageEndsJob // false says something, so it is not left out
	}
	return c.done()
}

func startFields(s *job.Start) map[string]any {
	c := make(compact, 2)
	c.num("attempt", int64(s.Attempt))
	c.time("at", s.At)
	return c.done()
}
