// Package capsule saves what failed pods leave behind while they are still
// there: the last lines of their logs, their status, the Events of Kubernetes.
//
// It runs beside the watch and never delays it: what the watch says is noted
// without waiting, and a bounded pool takes capsules one after the other, each
// within a deadline. What cannot be got is named in the capsule; a capsule that
// cannot be taken at all is counted and given up. No status ever depends on one.
//
// Of each Job the first failed pod is taken at once, and the last one when the
// Job's failure is decided: in between, thousands may fail. A capsule's id
// follows from the pod and the moment it failed, so a repeat is harmless, and a
// process takes capsules again when it begins to lead, those of the last minute if
// it stood by: nobody knows which of them its predecessor had published.
package capsule
