// Package web is dlq-handler's API and pages: people look at dead letters here,
// replay them, one or many, and discard them.
//
// Readers see the letters of their tenants and nothing of others, not even that
// they exist. Operators also replay and discard those of the tenants that they
// operate. What people do carries their name into the letter's history and the
// audit log.
//
// The package stores nothing and sends nothing itself, and treats every text in
// a letter as hostile. JSON is below /api, pages are elsewhere; both say the same.
package web
