# What wakes somebody, and what can wait for the morning. Each alert is a row of
# locals.alerts and a page docs/runbooks/<name>.md, which goes out with it; a test
# holds rows, pages, metrics and log lines together (test/rules/alerts_test.go).
#
# Metrics of the services come by Managed Service for Prometheus, those of
# recovery-job by its log: its process ends before anybody could scrape it.
variable "alert_channels" {
  description = "Ids of the notification channels that alerts go to."
  type        = list(string)
  default     = []
}

locals {
  recovery_log = join(" AND ", [
    "resource.type=\"k8s_container\"",
    "resource.labels.cluster_name=(${join(" OR ", formatlist("\"%s\"", keys(var.clusters)))})",
    "resource.labels.namespace_name=\"${var.namespace}\"",
    "resource.labels.container_name=\"recovery-job\"",
    "jsonPayload.message=\"recovery run ended\"",
  ])

  # Counters of runs of recovery-job, by what the summary line of a run says.
  log_metrics = {
    recovery_runs      = { filter = "", description = "Runs of recovery-job that ended." }
    recovery_unsettled = { filter = "jsonPayload.unsettled>0", description = "Runs that left jobs without a verdict." }
    recovery_withheld  = { filter = "jsonPayload.fates.withheld>0", description = "Runs that withheld verdicts because they were too many." }
    recovery_cut       = { filter = "jsonPayload.state!=\"DONE\"", description = "Runs that did not come to their end." }
  }

  # page: somebody gets up. ticket: it can wait for the morning.
  #
  # What runs in each cluster is asked for by cluster: one that is well must not hide
  # another one. What is not there at all has no labels, so absent() names them.
  alerts = {
    RecoveryHasNotRun = {
      severity = "page"
      duration = "0s"
      query = join("\nor ", concat(
        ["(sum by (cluster_name) (increase(logging_googleapis_com:user_recovery_runs{monitored_resource=\"k8s_container\"}[2h])) < 1)"],
        [for c in keys(var.clusters) :
        "absent_over_time(logging_googleapis_com:user_recovery_runs{monitored_resource=\"k8s_container\", cluster_name=\"${c}\"}[2h])"],
      ))
    }
    RecoveryVerdictsWithheld = {
      severity = "page"
      duration = "0s"
      query    = "sum by (cluster_name) (increase(logging_googleapis_com:user_recovery_withheld{monitored_resource=\"k8s_container\"}[70m])) > 0"
    }
    # Twice in a row: an API server that was away for a moment is no reason to get up.
    # increase() extrapolates, so one run counts for a little more than 1.
    RecoveryLeavesJobs = {
      severity = "ticket"
      duration = "0s"
      query    = "sum by (cluster_name) (increase(logging_googleapis_com:user_recovery_unsettled{monitored_resource=\"k8s_container\"}[130m])) > 1.5"
    }
    RecoveryCutShort = {
      severity = "ticket"
      duration = "0s"
      query    = "sum by (cluster_name) (increase(logging_googleapis_com:user_recovery_cut{monitored_resource=\"k8s_container\"}[130m])) > 1.5"
    }
    # From five minutes on recovery-job concludes nothing from silence.
    BacklogOld = {
      severity = "page"
      duration = "300s"
      query    = <<-EOT
        max by (subscription_id) (pubsub_googleapis_com:subscription_oldest_unacked_message_age{
          monitored_resource="pubsub_subscription", subscription_id=~".*-(status-updater|phase-tracer)"}) > 300
      EOT
    }
    DeadLettersNotKept = {
      severity = "page"
      duration = "300s"
      query    = <<-EOT
        max(pubsub_googleapis_com:subscription_oldest_unacked_message_age{
          monitored_resource="pubsub_subscription", subscription_id="dead-letters-dlq-handler"}) > 600
      EOT
    }
    DeadLetters = {
      severity = "ticket"
      duration = "0s"
      query    = "sum by (subscription, category) (increase(dlq_handler_letters_total{outcome=~\"new|reopened\"}[10m])) > 0"
    }
    # Replicas share the work: a source is silent when none of them hears it.
    SourceSilent = {
      severity = "ticket"
      duration = "600s"
      query    = "min by (source) (status_updater_source_silent) > 0"
    }
    OutboxOld = {
      severity = "page"
      duration = "300s"
      query    = "max(resiliency_outbox_oldest_seconds) > 600"
    }
    # Half open is not closed: it tries, and opens again.
    BreakerOpen = {
      severity = "page"
      duration = "300s"
      query    = "max by (cluster, container, name) (resiliency_breaker_state) > 0"
    }
    StreamerNoProgress = {
      severity = "page"
      duration = "600s"
      query    = <<-EOT
        (sum by (cluster, container) (event_streamer_pending_facts and on (cluster, pod) event_streamer_leader == 1) > 0)
        unless on (cluster, container) (sum by (cluster, container) (rate(event_streamer_events_published_total[10m])) > 0)
      EOT
    }
    StreamerNobodyPublishes = {
      severity = "page"
      duration = "300s"
      # Each of the two by itself: the witness has the same metric, and goes on alone.
      query = join("\nor ", concat(
        ["(sum by (cluster, container) (event_streamer_leader) < 1)"],
        flatten([for c in keys(var.clusters) : [for w in ["event-streamer", var.witness_container] :
        "absent(event_streamer_leader{cluster=\"${c}\", container=\"${w}\"})"]]),
      ))
    }
    # Each is a failed pod whose last words nobody will read.
    CapsulesDropped = {
      severity = "ticket"
      duration = "0s"
      query    = "sum by (cluster) (increase(event_streamer_capsules_total{result=\"dropped\"}[10m])) > 0"
    }
    DevelopersNotTold = {
      severity = "ticket"
      duration = "900s"
      query    = "(max(resiliency_notify_oldest_seconds) > 900) or (max(resiliency_notify_denied) > 0)"
    }
  }
}

resource "google_logging_metric" "recovery" {
  for_each    = local.log_metrics
  name        = each.key
  description = each.value.description
  filter      = each.value.filter == "" ? local.recovery_log : "${local.recovery_log} AND ${each.value.filter}"
  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"
  }
}

resource "google_monitoring_alert_policy" "all" {
  for_each              = local.alerts
  display_name          = each.key
  combiner              = "OR"
  severity              = each.value.severity == "page" ? "CRITICAL" : "WARNING"
  notification_channels = var.alert_channels
  user_labels           = { product = "envision-resiliency", urgency = each.value.severity }

  conditions {
    display_name = each.key
    condition_prometheus_query_language {
      query               = each.value.query
      duration            = each.value.duration
      evaluation_interval = "60s"
      alert_rule          = each.key
      # A project that was set up just now has no data of any of them.
      disable_metric_validation = true
    }
  }

  documentation {
    mime_type = "text/markdown"
    subject   = "Envision Resiliency: ${each.key}"
    content   = file("${path.module}/../../docs/runbooks/${each.key}.md")
  }

  depends_on = [google_logging_metric.recovery]
}
