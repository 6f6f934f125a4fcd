package cluster

import (
	"context"
	"time"

	"github.com/envision/resiliency/pkg/job"
)

// Labelled is a Kubernetes Job that carries the product's label.
type Labelled struct {
	JobID     string
	CreatedAt time.Time
	// Ended says that it is over.
	Ended bool
	// Claims are all that it says: applied in order, they make its record.
	Claims []job.Observation
	// Problem says why it makes no claims; nothing heals it but a change of it.
	Problem string
	// Namespace, Name and UID are for people.
	Namespace, Name, UID string
}

// Labelled calls fn with every labelled Job of the namespaces, from the list if
// one holds, else page by page; one Job may come twice. The error says that not
// all were seen.
func (p *Prober) Labelled(ctx context.Context, fn func(Labelled)) error {
	tell := func(o *object) { fn(p.labelled(o)) }
	if l := p.list.Load(); p.holds(l) {
		for _, o := range l.byUID {
			tell(o)
		}
		return l.err
	}
	for _, ns := range p.namespaces {
		if err := p.labelledIn(ctx, ns, tell); err != nil {
			return err
		}
	}
	return nil
}

func (p *Prober) labelledIn(ctx context.Context, ns string, tell func(*object)) error {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.ListTimeout)
	defer cancel()
	return p.eachJob(ctx, ns, tell)
}

func (p *Prober) labelled(o *object) Labelled {
	l := Labelled{
		JobID: o.JobID, CreatedAt: o.CreationTimestamp.UTC(), Ended: o.Ended(),
		Namespace: o.Namespace, Name: o.Name, UID: string(o.UID),
	}
	facts, err := p.mapper.Job(o.Job)
	if err != nil {
		l.Problem = err.Error()
		return l
	}
	l.Claims = facts.Observations
	return l
}
