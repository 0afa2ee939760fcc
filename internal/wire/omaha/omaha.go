// Package omaha is what a machine and the service say to each other about updates: Omaha version 3 in XML, in the
// form that Flatcar's update_engine 0.4.10 and ue-rs write and read it.
//
// The service starts with [ParseRequest] and [Response.AppendTo], the machine with [Request.Encode] and
// [ParseResponse]; [Offer] is an update in the words of the house, on both sides. Unknown attributes and elements
// are accepted, because every client has some of its own. What a well-formed document says is what any XML parser
// reads in it; the one thing understood beyond XML are the stray quotes of machines whose alias is quoted (see
// scanner.rawValue). Anything else that is not one whole XML document of the expected root, or that is beyond the
// limits, is an error of kind Invalid.
//
// The package reads XML by itself, because encoding/xml costs more than the rest of a poll; the tests compare the two.
// It is pure, and says nothing about who is to be offered what. Its format is specified in docs/protocol/omaha.md.
package omaha

import "conifer.dev/conifer/internal/fault"

// Protocol is the only version of Omaha that this package speaks.
const Protocol = "3.0"

// The limits of a document. A client's requests are below 2 KiB, responses below 8 KiB.
const (
	MaxRequestBytes  = 64 << 10
	MaxResponseBytes = 256 << 10
	maxValueBytes    = 512 // of one attribute that ends in a database
	maxApps          = 64
	maxEvents        = 64 // of one application
	maxDepth         = 32 // of elements in elements
)

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
