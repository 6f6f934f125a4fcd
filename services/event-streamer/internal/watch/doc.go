// Package watch sees every change of the labelled Jobs and Pods in the allowed
// namespaces, reads facts from the objects the moment they come, and hands them
// to the queue. Nothing is read later from a cache: by then two transitions may
// have become one.
//
// A feed stands where an informer would: it keeps the compact form of pkg/kube of
// each live object, made as the object comes from the stream, and no pod that has
// ended. Feeds say how far each of them has come, and block the watch only while a
// great many changes wait for a queue that is full.
// Reading never fails and never calls anybody: what needs the API server (is a
// deleted Job really gone?) is left to the queue's workers.
package watch
