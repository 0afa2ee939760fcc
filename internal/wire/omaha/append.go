package omaha

import (
	"strconv"
	"unicode/utf8"
)

// header is what update_engine's XML parser is used to see first.
const header = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

// appendAttr appends one attribute with the space before it.
func appendAttr(dst []byte, name, text string) []byte {
	dst = append(dst, ' ')
	dst = append(dst, name...)
	dst = append(dst, '=', '"')
	dst = appendEscaped(dst, text)
	return append(dst, '"')
}

// appendOptional appends an attribute unless it is empty.
func appendOptional(dst []byte, name, text string) []byte {
	if text == "" {
		return dst
	}
	return appendAttr(dst, name, text)
}

func appendNumber(dst []byte, name string, n int64) []byte {
	dst = append(dst, ' ')
	dst = append(dst, name...)
	dst = append(dst, '=', '"')
	dst = strconv.AppendInt(dst, n, 10)
	return append(dst, '"')
}

func appendTruth(dst []byte, name string, b bool) []byte {
	dst = append(dst, ' ')
	dst = append(dst, name...)
	dst = append(dst, '=', '"')
	dst = strconv.AppendBool(dst, b)
	return append(dst, '"')
}

// appendEscaped appends text so that every parser reads it back, white space included. What XML cannot say, a control
// character or bytes that are not UTF-8, becomes U+FFFD.
func appendEscaped(dst []byte, text string) []byte {
	done := 0
	for i := 0; i < len(text); {
		if clean[text[i]] {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		if escape := escapeOf(r, size); escape != "" {
			dst = append(dst, text[done:i]...)
			dst = append(dst, escape...)
			done = i + size
		}
		i += size
	}
	return append(dst, text[done:]...)
}

// clean are the bytes that are written as they are.
var clean = func() (table [256]bool) {
	for c := 0x20; c < utf8.RuneSelf; c++ {
		table[c] = true
	}
	for _, c := range []byte{'"', '\'', '&', '<', '>'} {
		table[c] = false
	}
	return table
}()

// escapeOf is how a character is written, or "" when it is written as it is.
func escapeOf(r rune, size int) string {
	switch r {
	case '"':
		return "&#34;"
	case '\'':
		return "&#39;"
	case '&':
		return "&amp;"
	case '<':
		return "&lt;"
	case '>':
		return "&gt;"
	case '\t':
		return "&#x9;"
	case '\n':
		return "&#xA;"
	case '\r':
		return "&#xD;"
	}
	if !isCharacter(r) || r == utf8.RuneError && size == 1 {
		return "\ufffd"
	}
	return ""
}
