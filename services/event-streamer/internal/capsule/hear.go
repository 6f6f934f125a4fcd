package capsule

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/envision/resiliency/pkg/kube"
)

// PodSeen hears of a pod in whatever state, deleted if it is gone. It never waits.
func (p *Pool) PodSeen(pod *kube.Pod, owner *kube.Job, deleted bool) {
	at, failed := failedAt(pod, owner)
	if !failed || time.Since(at) > p.cfg.Recent {
		return
	}
	if deleted && (!pod.Ended() || pod.Cancelled) && len(pod.Causes) == 0 {
		return // it was killed with its Job, and has taken everything along
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.dossier(owner.UID)
	d.note(&failure{job: owner, pod: pod, at: at, seen: time.Now()})
	if ended, decided := decidedAt(owner); decided {
		d.end(ended)
	}
	p.queue(owner.UID, d)
}

// JobSeen hears of a Job. It never waits.
func (p *Pool) JobSeen(j *kube.Job) {
	if at, decided := decidedAt(j); decided {
		p.over(j.UID, at)
	}
}

// JobGone hears that a Job was deleted. It never waits.
func (p *Pool) JobGone(j *kube.Job) { p.over(j.UID, time.Time{}) }

// over takes the last failure of a Job, if it had any.
func (p *Pool) over(uid types.UID, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d, known := p.dossiers.Peek(uid); known {
		d.end(at)
		p.queue(uid, d)
	}
}

func (p *Pool) dossier(uid types.UID) *dossier {
	d, known := p.dossiers.Get(uid)
	if !known {
		d = &dossier{}
		p.dossiers.Add(uid, d)
	}
	return d
}

// queue lines a Job up if it has something due; the lock is held.
func (p *Pool) queue(uid types.UID, d *dossier) {
	if d.queued || d.due() == nil {
		return
	}
	d.queued = true
	for {
		select {
		case p.due <- uid:
			p.metrics.waiting.Set(float64(len(p.due)))
			return
		default:
		}
		select {
		case oldest := <-p.due:
			p.drop(oldest)
		default: // a worker took one
		}
	}
}

// sayDropped is the least time between two complaints about dropped capsules.
const sayDropped = time.Minute

// drop gives up a Job that has waited too long; the lock is held. On standby the
// leader has taken its capsule.
func (p *Pool) drop(uid types.UID) {
	if d, known := p.dossiers.Peek(uid); known {
		d.drop()
	}
	if !p.leads {
		return
	}
	p.metrics.result(resultDropped)
	p.dropped++
	if time.Since(p.told) < sayDropped {
		return
	}
	p.log.Warn().Int("dropped", p.dropped).Int("queue", p.cfg.Queue).
		Msg("more pods fail than capsules can be taken; the oldest are dropped")
	p.dropped, p.told = 0, time.Now()
}
