// Package cluster answers what a cluster shows of a job: by the UID of its
// Kubernetes Job and by the job's label, in the namespaces of an allow-list.
//
// When many jobs are to be judged it lists each namespace once and answers from
// that list, kept in the compact form of pkg/kube; a few jobs are asked for one by
// one. A live question always goes to the API server. An error, of whatever kind
// and in whichever namespace, is an answer of its own and never 'missing'.
//
// The package only reads. It knows no record and decides nothing.
package cluster
