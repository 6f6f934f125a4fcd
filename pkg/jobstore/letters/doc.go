// Package letters keeps dead letters in Firestore: the messages that failed,
// what became of each, the operations that replay many of them, and the audit
// log of what people did.
//
// A letter is stored once for each message, however often it dies. A repeat
// raises its count. A letter that dies again of a replay is opened again, with
// its whole history. One that was discarded stays discarded when the same
// message comes once more: a person has judged just this message, and its count
// shows that it still comes. Every change is a commit with the read document's
// update time as precondition, so of two operators who replay one letter at once
// one sends it and the other is told.
//
// An open letter never expires; what is replayed or discarded does, KeepClosed
// after it was closed. The list is ordered by time over one index. Firestore
// bounds such a collection at about 500 writes a second, which letters wait for
// in their subscription.
//
// The package never publishes, never decides what a letter means for its job,
// and trusts nothing in a letter: what it stores is text for people.
package letters
