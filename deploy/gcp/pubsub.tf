# topology.json is pkg/messaging/topology, the one table of topics and
# subscriptions; a test keeps it so (test/rules/terraform_test.go).
locals {
  topology = jsondecode(file("${path.module}/topology.json"))
  topics   = { for t in local.topology.topics : t.id => t }
  subscriptions = merge([
    for t in local.topology.topics : { for s in t.subscriptions : s.id => merge(s, { topic = t.id }) }
  ]...)
  dying = { for id, s in local.subscriptions : id => s if s.dead_letter_topic != null }
}

resource "google_pubsub_topic" "all" {
  for_each = local.topics
  name     = each.key
}

resource "google_pubsub_subscription" "all" {
  for_each = local.subscriptions

  name                       = each.key
  topic                      = google_pubsub_topic.all[each.value.topic].id
  filter                     = each.value.filter
  ack_deadline_seconds       = each.value.ack_deadline_seconds
  message_retention_duration = "${each.value.retention_seconds}s"

  # Never expires, however quiet it is.
  expiration_policy {
    ttl = ""
  }

  retry_policy {
    minimum_backoff = "${each.value.min_backoff_seconds}s"
    maximum_backoff = "${each.value.max_backoff_seconds}s"
  }

  dynamic "dead_letter_policy" {
    for_each = each.value.dead_letter_topic == null ? [] : [each.value]
    content {
      dead_letter_topic     = google_pubsub_topic.all[dead_letter_policy.value.dead_letter_topic].id
      max_delivery_attempts = dead_letter_policy.value.max_delivery_attempts
    }
  }

  # A subscription that is deleted takes its messages along.
  lifecycle {
    prevent_destroy = true
  }
}

# Pub/Sub itself moves dead letters: without these two they stay where they died.
data "google_project" "this" {
  project_id = var.project
}

locals {
  pubsub_agent = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}

resource "google_pubsub_topic_iam_member" "agent" {
  topic  = google_pubsub_topic.all["dead-letters"].name
  role   = "roles/pubsub.publisher"
  member = local.pubsub_agent
}

resource "google_pubsub_subscription_iam_member" "agent" {
  for_each     = local.dying
  subscription = google_pubsub_subscription.all[each.key].name
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent
}
