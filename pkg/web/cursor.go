package web

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
)

// maxCursor bounds a cursor; a longer one is none of ours.
const maxCursor = 1 << 10

const cursorVersion = 1

// cursor is what the opaque text holds.
type cursor struct {
	Version int `json:"v"`
	// Scope is the hash of what the list is a list of, so that a cursor is not
	// used for another list, where it would point anywhere.
	Scope []byte          `json:"s"`
	Place json.RawMessage `json:"p"`
}

func scopeHash(scope string) []byte {
	sum := sha256.Sum256([]byte(scope))
	return sum[:8]
}

// EncodeCursor makes an opaque text of a place in a list. scope names the list:
// its kind and filter. place must be something that JSON can hold.
//
// A cursor is not signed: it only says where to go on, so what a forged one
// reaches is what its sender may see anyway.
func EncodeCursor(scope string, place any) (string, error) {
	p, err := json.Marshal(place)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(cursor{Version: cursorVersion, Scope: scopeHash(scope), Place: p})
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(text), nil
}

// DecodeCursor reads a cursor of the list that scope names into place. Whatever
// is wrong with it is a bad request.
func DecodeCursor(text, scope string, place any) error {
	bad := BadRequest("bad_cursor", "The cursor is not one that this list gave.", "Begin with the first page, without a cursor.")
	if len(text) > maxCursor {
		return bad
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return bad
	}
	var c cursor
	if err := json.Unmarshal(raw, &c); err != nil || c.Version != cursorVersion || len(c.Place) == 0 {
		return bad
	}
	if string(c.Scope) != string(scopeHash(scope)) {
		return BadRequest("bad_cursor", "The cursor is of another list or filter.", "Begin with the first page, without a cursor.")
	}
	if err := json.Unmarshal(c.Place, place); err != nil {
		return bad
	}
	return nil
}
