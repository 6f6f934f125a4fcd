variable "project" {
  description = "Id of the GCP project that holds topics, subscriptions and the database."
  type        = string
}

variable "cluster" {
  description = "Name of the GKE cluster whose Jobs are watched."
  type        = string
}

variable "location" {
  description = "Zone or region of that cluster."
  type        = string
}

variable "job_namespaces" {
  description = "Namespaces in which labelled Jobs run."
  type        = list(string)

  validation {
    condition     = length(var.job_namespaces) > 0
    error_message = "Name at least one namespace."
  }
}

variable "namespace" {
  description = "Namespace in which the services run; only the log witness's lines from there count."
  type        = string
  default     = "resiliency"
}

variable "witness_container" {
  description = "Name of the log witness's container."
  type        = string
  default     = "event-streamer-witness"
}

variable "firestore_database" {
  description = "Firestore database that the services use."
  type        = string
  default     = "(default)"
}

variable "output_buckets" {
  description = "Buckets in which jobs leave their output; recovery-job looks there."
  type        = list(string)
  default     = []
}
