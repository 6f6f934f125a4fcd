// Package slackpost sends notices to Slack. It is the only code of the product
// that knows Slack's client: Block Kit and its limits, escaping, and what
// Slack's errors mean.
//
// Every message carries metadata that names its notice, so that it can be found
// again in the channel's history when the answer to its post was lost. Slack
// documents no idempotency key for a post, hence the search.
//
// It makes one call at a time and never repeats one: pkg/notify decides when to
// try again.
package slackpost
