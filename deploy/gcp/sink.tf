# One sink for all clusters. Sinks of a project may share their identity, and then a
# grant for each would go for all of them with the first cluster that is taken away.
locals {
  sink_filter = join("\nOR\n", [for name, at in var.clusters : format("(%s)", templatefile("${path.module}/sink/filter.tftpl", {
    cluster           = name
    location          = at.location
    namespaces        = join(" OR ", formatlist("\"%s\"", at.job_namespaces))
    witness_namespace = var.namespace
    witness_container = var.witness_container
  }))])
}

resource "google_logging_project_sink" "job_log_entries" {
  name                   = "job-log-entries"
  destination            = "pubsub.googleapis.com/${google_pubsub_topic.all["job-log-entries"].id}"
  unique_writer_identity = true
  filter                 = local.sink_filter

  lifecycle {
    precondition {
      condition     = length(local.sink_filter) <= 20000
      error_message = "Cloud Logging takes filters of 20,000 characters, which is about twelve clusters: give further ones a project of their own."
    }
  }
}

# Entries that the sink may not publish are lost.
resource "google_pubsub_topic_iam_member" "sink" {
  topic  = google_pubsub_topic.all["job-log-entries"].name
  role   = "roles/pubsub.publisher"
  member = google_logging_project_sink.job_log_entries.writer_identity
}
