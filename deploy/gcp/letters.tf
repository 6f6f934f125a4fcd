# The bucket for dead letters that Firestore has no room for. Its name is
# LETTERS_BUCKET of dlq-handler, which alone reads and writes there: people see a
# letter through its pages, which know who may.
variable "letters_bucket" {
  description = "Name of the bucket for large dead letters; <project>-resiliency-letters when it is empty."
  type        = string
  default     = ""
}

# An open letter never expires and needs its payload, and a closed one is kept for
# 90 days: what is above those is how long a letter may be open.
variable "letters_days" {
  description = "Days for which large payloads are kept since their letter last came: more than dlq-handler keeps a letter after it was closed, and as many more as one may stay open."
  type        = number
  default     = 365

  validation {
    condition     = var.letters_days > 90 && floor(var.letters_days) == var.letters_days
    error_message = "Give whole days, more than the 90 for which a closed letter is kept."
  }
}

resource "google_storage_bucket" "letters" {
  name                        = coalesce(var.letters_bucket, "${var.project}-resiliency-letters")
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  # Of the object, so counted anew when the letter comes again: it is written over.
  lifecycle_rule {
    condition {
      age = var.letters_days
    }
    action {
      type = "Delete"
    }
  }

  # Otherwise what was written over or deleted could be had for another week.
  soft_delete_policy {
    retention_duration_seconds = 0
  }
}

# Not objectCreator with objectViewer: a letter that comes again is written over
# what is there, and to replace needs the right to delete.
resource "google_storage_bucket_iam_member" "letter_keeper" {
  bucket = google_storage_bucket.letters.name
  role   = "roles/storage.objectUser"
  member = google_service_account.service["dlq-handler"].member
}

output "letters_bucket" {
  description = "The value for LETTERS_BUCKET in the overlay of dlq-handler."
  value       = google_storage_bucket.letters.name
}
