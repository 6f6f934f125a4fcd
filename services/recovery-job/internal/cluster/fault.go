package cluster

import (
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/services/recovery-job/internal/judge"
)

// maxFault bounds what an error may say, in bytes: a proxy answers with a page.
const maxFault = 512

// faultOf sorts an error of the API server.
func faultOf(err error) judge.Fault {
	f := judge.Fault{Kind: judge.FaultUnavailable, Err: job.Cut(err.Error(), maxFault)}
	if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
		f.Kind = judge.FaultRefused
	}
	return f
}

func failed(err error) judge.Cluster {
	return judge.Cluster{Probe: judge.Failed, Fault: faultOf(err)}
}

// outside is the answer about a namespace that this process may not look into.
func outside(namespace string) judge.Cluster {
	return judge.Cluster{Probe: judge.Failed, Fault: judge.Fault{
		Kind: judge.FaultMisconfigured, Err: fmt.Sprintf("namespace %s is not on the list of namespaces", namespace),
	}}
}

// notThere reports whether the API server itself says that an object does not
// exist. A page of a proxy, or a server that does not know Jobs at all, answers
// 404 as well, and client-go calls that not found too.
func notThere(err error) bool {
	return apierrors.IsNotFound(err) && !apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse)
}
