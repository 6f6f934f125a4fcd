// Package watch sees every change of the labelled Jobs and Pods in the allowed
// namespaces, reads facts from the objects the moment they come, and hands them
// to the queue. Nothing is read later from a cache: by then two transitions may
// have become one.
//
// Informers hold the compact forms of pkg/kube in place of the objects, so a
// cluster full of ended Jobs costs little. Handlers never fail and never call
// anybody: what needs the API server (is a deleted Job really gone?) is left to
// the queue's workers.
package watch
