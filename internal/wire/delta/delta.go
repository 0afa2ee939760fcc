// Package delta is the encoding of the data of a payload operation of kind delta: what to write, told as differences from the
// image that a machine already holds.
//
// Start with [Apply], which a machine runs, and [Write], which is its inverse: both walk the same code, one with a reader of
// bits, the other with a writer (package entropy). What is to be copied from where is a [Plan], found by
// internal/factory/diff; this package only says it in few bytes. A reader trusts nothing: it takes memory by what is written
// in docs/protocol/delta.md, whatever the data say, does work in proportion to the size of its output, and ends in an error of
// kind Corrupt otherwise. What it wrote counts only when its digest is right, which the payload's manifest tells.
package delta
