package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
)

// WriteJSON answers with a value that JSON can hold. It is encoded before the
// status is sent, so that there is never half an answer.
func WriteJSON(w http.ResponseWriter, status int, v any) {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetIndent("", "  ") // people read it too
	if err := encoder.Encode(v); err != nil {
		http.Error(w, `{"error":{"code":"internal","message":"The answer cannot be encoded."}}`, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // the client may be gone
}

// ReadJSON reads the body into v: one JSON value without unknown fields, sent as
// application/json. An empty body leaves v as it is.
func ReadJSON(r *http.Request, v any) error {
	const remedy = "Send one JSON object, with the content type application/json."
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); r.ContentLength != 0 && (err != nil || kind != "application/json") {
		return &Error{
			Status: http.StatusUnsupportedMediaType, Code: "not_json", Message: "The request's body is not declared as JSON.", Remedy: remedy,
		}
	}
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	err := decoder.Decode(v)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err == nil {
		if _, err = decoder.Token(); errors.Is(err, io.EOF) {
			return nil
		}
		err = errors.Join(errors.New("more than one value"), err)
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return err
	}
	return BadRequest("bad_json", "The request's body is not the JSON that is expected here: "+err.Error()+".", remedy)
}

// ReadForm parses the query and, of a POST, the form.
func ReadForm(r *http.Request) error {
	err := r.ParseForm()
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return err
	}
	return BadRequest("bad_form", "The address or the form cannot be read.", "Go back to the page and try again.")
}
