// Package capture takes dead letters from their subscription: it stores each,
// has the job cleaned up, and tells developers, in this order.
//
// A letter is acked only when all three are done. What is stored already is not
// stored again, what is done is not done again: a letter remembers the steps that
// are left. Nothing is permanent here, for behind this subscription there is
// none: what cannot be stored comes again for ever.
//
// The package never decides what a letter means for its job (package cleanup
// does), and never waits for Slack.
package capture
