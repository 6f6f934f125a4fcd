// Package logsink stands in for Cloud Logging and its sink to Pub/Sub on one
// machine: it makes log entries of the true shape out of the real Events of the
// real control plane (as GKE's event-exporter does) and out of the log files of
// processes (as GKE's node agent does with containers), applies the sink's own
// filter from deploy/gcp/sink, and publishes what passes to job-log-entries.
// On demand it is as late, lossy, repetitive and disorderly as the real one.
//
// It trusts a line as little as GKE does: a line may set entry labels of its
// own, but the resource and the labels that GKE knows are never the line's.
//
// It never stores entries, never acks or reads Pub/Sub, and never makes an
// Event up.
package logsink
