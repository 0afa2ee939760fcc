// Package omaha is what a machine and the service say to each other about updates: Omaha version 3 in XML, in the
// form that Flatcar's update_engine 0.4.10 and ue-rs write and read it.
//
// The service starts with [ParseRequest] and [Response.Encode], the machine with [Request.Encode] and
// [ParseResponse]; [Offer] is an update in the words of the house, on both sides. Unknown attributes and elements
// are accepted, because every client has some of its own; anything that is not one whole XML document of the
// expected root, or that is beyond the size limits, is an error of kind Invalid. The package is pure, and says
// nothing about who is to be offered what. Its format is specified in docs/protocol/omaha.md.
package omaha

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"

	"conifer.dev/conifer/internal/fault"
)

// Protocol is the only version of Omaha that this package speaks.
const Protocol = "3.0"

// The limits of a document. A client's requests are below 2 KiB, responses below 8 KiB.
const (
	MaxRequestBytes  = 64 << 10
	MaxResponseBytes = 256 << 10
	maxValueBytes    = 512 // of one attribute that ends in a database
	maxApps          = 64
	maxEvents        = 64 // of one application
)

// header is what update_engine's XML parser is used to see first.
const header = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

// decode reads exactly one document with the root element named root into target.
func decode(text []byte, root string, limitBytes int, target any) error {
	if len(text) > limitBytes {
		return fault.New(fault.Invalid, "omaha %s has %d bytes, more than %d", root, len(text), limitBytes)
	}
	dec := xml.NewDecoder(bytes.NewReader(text))
	start, err := rootElement(dec)
	if err != nil {
		return fault.New(fault.Invalid, "parse omaha %s: %w", root, err)
	}
	if start.Name.Local != root {
		return fault.New(fault.Invalid, "root element is <%s>, want <%s>", start.Name.Local, root)
	}
	if err := dec.DecodeElement(target, &start); err != nil {
		return fault.New(fault.Invalid, "parse omaha %s: %w", root, err)
	}
	if err := onlySpaceLeft(dec); err != nil {
		return fault.New(fault.Invalid, "parse omaha %s: %w", root, err)
	}
	return nil
}

// rootElement skips the XML declaration, comments and space. Directives are refused: Omaha has no use for a
// document type, and entities have only ever served attacks.
func rootElement(dec *xml.Decoder) (xml.StartElement, error) {
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return xml.StartElement{}, errors.New("no root element")
		}
		if err != nil {
			return xml.StartElement{}, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			return token, nil
		case xml.Directive:
			return xml.StartElement{}, errors.New("a document type is not allowed")
		case xml.CharData:
			if strings.TrimSpace(string(token)) != "" {
				return xml.StartElement{}, errors.New("text before the root element")
			}
		}
	}
}

func onlySpaceLeft(dec *xml.Decoder) error {
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch token := token.(type) {
		case xml.Comment:
		case xml.CharData:
			if strings.TrimSpace(string(token)) != "" {
				return errors.New("text after the root element")
			}
		default:
			return errors.New("data after the root element")
		}
	}
}

// encode writes the document with the XML declaration and a newline at the end.
func encode(value any) ([]byte, error) {
	text, err := xml.MarshalIndent(value, "", "    ")
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err)
	}
	return append(append([]byte(header), text...), '\n'), nil
}

// value is one attribute with its name, for checking.
type value struct{ name, text string }

func checkLengths(values ...value) error {
	for _, v := range values {
		if len(v.text) > maxValueBytes {
			return fault.New(fault.Invalid, "attribute %s has %d bytes, more than %d", v.name, len(v.text), maxValueBytes)
		}
	}
	return nil
}
