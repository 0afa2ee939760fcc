package main

import (
	"strconv"
	"strings"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/store"
	"conifer.dev/conifer/internal/wire/payload"
)

const deltaUsage = "a delta for machines that run FROM, FROM,NAME,SIZE,SHA256 and what they must know (" + payload.FeatureDelta + " unless told): ,FEATURE…; may be repeated"

// parseDeltas reads FROM,NAME,SIZE,SHA256[,FEATURE]….
func parseDeltas(texts []string) ([]store.Delta, error) {
	var deltas []store.Delta
	for _, text := range texts {
		parts := strings.Split(text, ",")
		if len(parts) < 4 {
			return nil, fault.New(fault.Invalid, "--delta %q is not FROM,NAME,SIZE,SHA256 with features behind it", text).
				WithHint("For example --delta 1.0.0,from-1.0.0.payload,1048576,9f86d0…")
		}
		size, err := strconv.ParseInt(parts[2], 10, 64)
		if err != nil {
			return nil, fault.New(fault.Invalid, "--delta %q has size %q, not a number of bytes", text, parts[2]).WithHint("Give the size without a unit.")
		}
		d := store.Delta{From: parts[0], Features: parts[4:], File: store.File{Name: parts[1], SizeBytes: size, SHA256: strings.ToLower(parts[3])}}
		if len(d.Features) == 0 {
			d.Features = []string{payload.FeatureDelta}
		}
		deltas = append(deltas, d)
	}
	return deltas, nil
}
