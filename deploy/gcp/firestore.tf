# Indexes and expiry of what the services keep, from the tables in pkg/jobstore.
# Production refuses a query without its index; the emulator runs any.
locals {
  firestore = jsondecode(file("${path.module}/firestore.indexes.json"))
}

resource "google_firestore_index" "all" {
  for_each = {
    for i in local.firestore.indexes : "${i.collectionGroup}/${join("/", i.fields[*].fieldPath)}" => i
  }
  project     = var.project
  database    = var.firestore_database
  collection  = each.value.collectionGroup
  query_scope = each.value.queryScope
  dynamic "fields" {
    for_each = each.value.fields
    content {
      field_path = fields.value.fieldPath
      order      = fields.value.order
    }
  }
}

# Large fields, and those that rise with time, have no index of their own.
resource "google_firestore_field" "all" {
  for_each   = { for f in local.firestore.fieldOverrides : "${f.collectionGroup}/${f.fieldPath}" => f }
  project    = var.project
  database   = var.firestore_database
  collection = each.value.collectionGroup
  field      = each.value.fieldPath
  index_config {}
  dynamic "ttl_config" {
    for_each = lookup(each.value, "ttl", false) ? ["on"] : []
    content {}
  }
}
