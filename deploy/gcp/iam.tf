# Each service has an account of its own with what it needs. The log witness has
# none: it has no client of Google's at all, and GKE's own agent carries its log.
# Accounts of jobs must not have roles/logging.logWriter: who can write any entry
# can write one that looks like the witness's.
#
# Who sweeps the outbox publishes whatever anybody left there: every topic that an
# outbox entry may have, and not only those of its own entries.
locals {
  services = {
    event-streamer = {
      firestore  = false
      publishes  = ["job-events", "job-phases"]
      subscribes = []
    }
    status-updater = {
      firestore  = true
      publishes  = ["job-updates", "job-phases", "job-commands", "dead-letters"]
      subscribes = ["job-events-status-updater", "job-log-entries-status-updater"]
    }
    dlq-handler = {
      firestore  = true
      publishes  = keys(local.topics)
      subscribes = ["dead-letters-dlq-handler"]
    }
    phase-tracer = {
      firestore  = true
      publishes  = ["dead-letters"]
      subscribes = ["job-phases-phase-tracer", "job-updates-phase-tracer"]
    }
    recovery-job = {
      firestore  = true
      publishes  = ["job-updates", "job-phases", "job-commands"]
      subscribes = []
    }
  }
  publishers = merge([
    for s, may in local.services : { for t in may.publishes : "${s}/${t}" => { service = s, topic = t } }
  ]...)
  subscribers = merge([
    for s, may in local.services : { for id in may.subscribes : "${s}/${id}" => { service = s, subscription = id } }
  ]...)
}

resource "google_service_account" "service" {
  for_each     = local.services
  account_id   = each.key
  display_name = "Envision Resiliency: ${each.key}"
}

# Workload Identity: the Kubernetes service account of the same name.
resource "google_service_account_iam_member" "workload" {
  for_each           = local.services
  service_account_id = google_service_account.service[each.key].name
  role               = "roles/iam.workloadIdentityUser"
  member             = "serviceAccount:${var.project}.svc.id.goog[${var.namespace}/${each.key}]"
}

resource "google_pubsub_topic_iam_member" "publisher" {
  for_each = local.publishers
  topic    = google_pubsub_topic.all[each.value.topic].name
  role     = "roles/pubsub.publisher"
  member   = google_service_account.service[each.value.service].member
}

resource "google_pubsub_subscription_iam_member" "subscriber" {
  for_each     = local.subscribers
  subscription = google_pubsub_subscription.all[each.value.subscription].name
  role         = "roles/pubsub.subscriber"
  member       = google_service_account.service[each.value.service].member
}

# The start-up checks read topics and subscriptions.
resource "google_project_iam_member" "pubsub_viewer" {
  for_each = local.services
  project  = var.project
  role     = "roles/pubsub.viewer"
  member   = google_service_account.service[each.key].member
}

resource "google_project_iam_member" "firestore" {
  for_each = { for s, may in local.services : s => may if may.firestore }
  project  = var.project
  role     = "roles/datastore.user"
  member   = google_service_account.service[each.key].member
}

# recovery-job reads outputs and writes none.
resource "google_storage_bucket_iam_member" "outputs" {
  for_each = toset(var.output_buckets)
  bucket   = each.value
  role     = "roles/storage.objectViewer"
  member   = google_service_account.service["recovery-job"].member
}

# Product code that reports its jobs with the SDK: services, and containers of Jobs.
resource "google_pubsub_topic_iam_member" "sdk" {
  for_each = {
    for pair in setproduct(var.sdk_publishers, ["job-events", "job-phases"]) : join("/", pair) => { member = pair[0], topic = pair[1] }
  }
  topic  = google_pubsub_topic.all[each.value.topic].name
  role   = "roles/pubsub.publisher"
  member = each.value.member
}

# Product code that tells its users of updates, or carries out commands: it reads its
# subscription, and moves what it can never handle to the dead letters. To see the
# subscription's settings is how it knows the last attempt, see pkg/messaging.
locals {
  product_subscriptions = toset([for id, s in local.subscriptions : id if endswith(id, "-product")])
  product_consumers = merge([
    for id, members in var.product_consumers : { for m in members : "${id}/${m}" => { subscription = id, member = m } }
  ]...)
}

resource "google_pubsub_subscription_iam_member" "product" {
  for_each     = local.product_consumers
  subscription = google_pubsub_subscription.all[each.value.subscription].name
  role         = "roles/pubsub.subscriber"
  member       = each.value.member

  lifecycle {
    precondition {
      condition     = contains(local.product_subscriptions, each.value.subscription)
      error_message = "product_consumers: ${each.value.subscription} is a service's, not the product's."
    }
  }
}

resource "google_pubsub_subscription_iam_member" "product_viewer" {
  for_each     = local.product_consumers
  subscription = google_pubsub_subscription.all[each.value.subscription].name
  role         = "roles/pubsub.viewer"
  member       = each.value.member
}

resource "google_pubsub_topic_iam_member" "product_dead_letters" {
  for_each = toset(flatten(values(var.product_consumers)))
  topic    = google_pubsub_topic.all["dead-letters"].name
  role     = "roles/pubsub.publisher"
  member   = each.value
}
