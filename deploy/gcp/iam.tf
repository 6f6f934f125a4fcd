# Each service has an account of its own with what it needs. The log witness has
# none: it has no client of Google's at all, and GKE's own agent carries its log.
# Accounts of jobs must not have roles/logging.logWriter: who can write any entry
# can write one that looks like the witness's.
locals {
  services = {
    event-streamer = {
      firestore  = false
      publishes  = ["job-events", "job-phases"]
      subscribes = []
    }
    status-updater = {
      firestore  = true
      publishes  = ["job-updates", "job-phases", "dead-letters"]
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
