// Package bucket keeps objects in Cloud Storage: what is too large for
// Firestore. It also looks at the objects that others have left. It is the only
// code of the product that knows Cloud Storage.
//
// Every error has a category, and every call on one object a deadline, but for
// Open, whose content its caller reads in its own time. The package never deletes: how long objects live is the bucket's lifecycle.
package bucket
