// Package deadmail makes dead letters for tests and measures: messages that die
// as they do in production, and whole collections of letters as dlq-handler
// would have stored them, without the hours that it takes so many to die.
//
// It never checks anything.
package deadmail
