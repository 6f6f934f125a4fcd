variable "project" {
  description = "Id of the GCP project that holds topics, subscriptions and the database."
  type        = string
}

variable "clusters" {
  description = "The GKE clusters of this project whose Jobs are watched, by name: where each is, and the namespaces in which labelled Jobs run there. event-streamer and recovery-job run in each of them, the other services in one."
  type = map(object({
    location       = string # zone or region
    job_namespaces = list(string)
  }))

  validation {
    condition     = length(var.clusters) > 0 && alltrue([for c in var.clusters : length(c.job_namespaces) > 0])
    error_message = "Name at least one cluster, and at least one namespace in each."
  }
}

variable "region" {
  description = "Region of the buckets for capsules and large dead letters, such as europe-west4."
  type        = string
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

variable "sdk_publishers" {
  description = "Who reports jobs with the SDK, as members of IAM such as serviceAccount:backend@my-project.iam.gserviceaccount.com: the product's services, and the accounts of containers of Jobs."
  type        = set(string)
  default     = []
}

variable "product_consumers" {
  description = "Who reads the product's own subscriptions, as members of IAM: job-updates-product tells users of their jobs, job-commands-product moves workers."
  type        = map(set(string))
  default = {
    job-updates-product  = []
    job-commands-product = []
  }
}
