package letters

import "errors"

var (
	// ErrNotFound says that there is no such letter or operation.
	ErrNotFound = errors.New("not found")
	// ErrState says that the letter or operation is not in a state that allows
	// what was asked for. It comes with the letter or operation as it is.
	ErrState = errors.New("its state does not allow that")
	// ErrContended says that the document changed under every try to change it.
	ErrContended = errors.New("the document kept changing")
	// ErrFilter says that a filter or page cannot be asked for.
	ErrFilter = errors.New("the filter cannot be used")
)
