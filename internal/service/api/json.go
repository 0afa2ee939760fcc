package api

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/admin"
)

// read decodes a body; a field that there is not is an error, so that a misspelt one cannot be lost.
func read[T any](r *http.Request) (value T, err error) {
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&value); err != nil {
		if tooMany := (*http.MaxBytesError)(nil); errors.As(err, &tooMany) {
			return value, err
		}
		return value, fault.New(fault.Invalid, "the body is not the expected JSON: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return value, fault.New(fault.Invalid, "data after the end of the JSON body")
	}
	return value, nil
}

func writeError(w http.ResponseWriter, err error) {
	kind := fault.KindOf(err)
	text, failed := json.Marshal(admin.Error{Kind: kind.String(), Message: err.Error(), Hint: fault.HintOf(err)})
	if failed != nil {
		text = []byte(`{"kind":"internal","message":"internal error"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(kind.HTTPStatus())
	_, _ = w.Write(append(text, '\n'))
}
