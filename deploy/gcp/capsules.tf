# The bucket for what failed pods leave behind and an event has no room for. Its
# name is CAPSULE_BUCKET of event-streamer. Redaction is no proof, so those who may
# read here are named, and what has expired is not kept.
variable "capsule_bucket" {
  description = "Name of the bucket for capsules; <project>-resiliency-capsules when it is empty."
  type        = string
  default     = ""
}

variable "capsule_days" {
  description = "Days for which capsules are kept: as long as phase-tracer keeps the phases that name them (PHASE_TTL)."
  type        = number
  default     = 30

  validation {
    condition     = var.capsule_days >= 1 && floor(var.capsule_days) == var.capsule_days
    error_message = "Give whole days, at least one."
  }
}

variable "capsule_readers" {
  description = "Who may open capsules, as members of IAM such as group:name@domain. Services need not: a timeline only names the object."
  type        = list(string)
  default     = []
}

resource "google_storage_bucket" "capsules" {
  name                        = coalesce(var.capsule_bucket, "${var.project}-resiliency-capsules")
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  lifecycle_rule {
    condition {
      age = var.capsule_days
    }
    action {
      type = "Delete"
    }
  }

  # Otherwise what was deleted could be had for another week.
  soft_delete_policy {
    retention_duration_seconds = 0
  }
}

# Not objectCreator: a capsule is written again under its name when an answer was
# lost or the next leader takes it once more, and to replace needs the right to delete.
resource "google_storage_bucket_iam_member" "capsule_writer" {
  bucket = google_storage_bucket.capsules.name
  role   = "roles/storage.objectUser"
  member = google_service_account.service["event-streamer"].member
}

resource "google_storage_bucket_iam_member" "capsule_readers" {
  for_each = toset(var.capsule_readers)
  bucket   = google_storage_bucket.capsules.name
  role     = "roles/storage.objectViewer"
  member   = each.value
}

output "capsule_bucket" {
  description = "The value for CAPSULE_BUCKET in the overlay of event-streamer."
  value       = google_storage_bucket.capsules.name
}
