package jobstore

// What the packages below this one need to keep documents of their own in the
// same database, by the same rules.

// ErrConflict says that a commit's precondition did not hold: the document was
// changed, created or deleted since it was read.
var ErrConflict = errConflict

// Classify says who has to act on an error of a read: category permanent when
// Firestore refuses what was asked, dependency when it does not answer. It must
// see the error as the client returned it. nil stays nil.
func Classify(err error) error { return classify(err) }

// ClassifyCommit is Classify for a commit, whose error also wraps ErrConflict
// when a precondition did not hold.
func ClassifyCommit(err error) error { return classifyCommit(err) }

// OutboxDocument is where an entry is to be created, for who commits it beside
// documents of its own: the collection, and the fields of document e.ID.
func OutboxDocument(e *Entry) (collection string, fields map[string]any) {
	w := e.create()
	return w.collection, w.fields
}
