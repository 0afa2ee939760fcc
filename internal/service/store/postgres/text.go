package postgres

import (
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"
)

// text is a string as PostgreSQL takes it: UTF-8 without zero bytes. Machines write what they like into theirs, and one that the
// database refused would hold up the whole batch for ever.
func text[T ~string](s T) string {
	if utf8.ValidString(string(s)) && strings.IndexByte(string(s), 0) < 0 {
		return string(s)
	}
	return strings.ToValidUTF8(strings.ReplaceAll(string(s), "\x00", "\uFFFD"), "\uFFFD")
}

// list is a value inside a record: a list, or counts by name.
func list(value any) string {
	encoded, err := json.Marshal(value)
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	return string(encoded)
}

// millis is how a time is stored; the zero time is 0.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
