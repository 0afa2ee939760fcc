package api

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"conifer.dev/conifer/internal/fault"
	words "conifer.dev/conifer/internal/service/admin"
)

// read decodes a body; a field that there is not is an error, so that a misspelt one cannot be lost.
func read(r *http.Request, into any) error {
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		if tooMany := (*http.MaxBytesError)(nil); errors.As(err, &tooMany) {
			return err
		}
		return fault.New(fault.Invalid, "the body is not the expected JSON: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fault.New(fault.Invalid, "data after the end of the JSON body")
	}
	return nil
}

func write(w http.ResponseWriter, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(text, '\n')) // nobody is left to be told of an error
	return nil
}

// answer writes value, or returns err.
func answer[T any](w http.ResponseWriter, value T, err error) error {
	if err != nil {
		return err
	}
	return write(w, value)
}

func writeError(w http.ResponseWriter, err error) {
	kind := fault.KindOf(err)
	text, failed := json.Marshal(words.Error{Kind: kind.String(), Message: err.Error(), Hint: fault.HintOf(err)})
	if failed != nil {
		text = []byte(`{"kind":"internal","message":"internal error"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(kind.HTTPStatus())
	_, _ = w.Write(append(text, '\n'))
}
