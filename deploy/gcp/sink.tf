resource "google_logging_project_sink" "job_log_entries" {
  name                   = "job-log-entries"
  destination            = "pubsub.googleapis.com/${google_pubsub_topic.all["job-log-entries"].id}"
  unique_writer_identity = true
  filter = templatefile("${path.module}/sink/filter.tftpl", {
    cluster           = var.cluster
    location          = var.location
    namespaces        = join(" OR ", formatlist("\"%s\"", var.job_namespaces))
    witness_namespace = var.namespace
    witness_container = var.witness_container
  })
}

# Entries that the sink may not publish are lost.
resource "google_pubsub_topic_iam_member" "sink" {
  topic  = google_pubsub_topic.all["job-log-entries"].name
  role   = "roles/pubsub.publisher"
  member = google_logging_project_sink.job_log_entries.writer_identity
}
