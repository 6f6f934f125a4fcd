// Package bucket keeps objects in Cloud Storage: what is too large for
// Firestore. It is the only code of the product that knows Cloud Storage.
//
// Every call has a deadline, and every error a category. The package never lists
// a bucket and never deletes: how long objects live is the bucket's lifecycle.
package bucket
