// Package gpttest writes partition tables for tests, with code that shares nothing with package gpt, so that a
// mistake in one is not repeated in the other.
//
// Start with [Disk], the layout of a Conifer machine, or [Write] for any other.
package gpttest

import (
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"strings"
	"unicode/utf16"
)

// Partition is one row of a table, with GUIDs as text.
type Partition struct {
	Type, Unique, Name string
	First, Last        uint64 // sectors, inclusive
}

// The types of a Conifer disk.
const (
	ESP    = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
	Root   = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"
	Verity = "2c7357ed-ebd2-46d9-aec1-23d437ec2bf5"
	Var    = "4d21b016-b534-45c2-a9fb-5c16e091fd2d"
)

const places = 128

// Write puts both copies of a table on disk, whose length is a multiple of sectorSize.
func Write(disk []byte, sectorSize int, partitions []Partition) {
	table := make([]byte, places*128)
	for i, p := range partitions {
		b := table[i*128:]
		if p.Type == "" {
			continue
		}
		putGUID(b, p.Type)
		putGUID(b[16:], p.Unique)
		binary.LittleEndian.PutUint64(b[32:], p.First)
		binary.LittleEndian.PutUint64(b[40:], p.Last)
		for j, unit := range utf16.Encode([]rune(p.Name)) {
			binary.LittleEndian.PutUint16(b[56+2*j:], unit)
		}
	}
	tableSectors := len(table) / sectorSize
	last := len(disk)/sectorSize - 1
	copy(disk[2*sectorSize:], table)
	copy(disk[(last-tableSectors)*sectorSize:], table)
	writeProtectiveMBR(disk, last)
	copy(disk[sectorSize:2*sectorSize], header(table, 1, last, 2, tableSectors, last))
	copy(disk[last*sectorSize:], header(table, last, 1, last-tableSectors, tableSectors, last))
}

func header(table []byte, my, alternate, entries, tableSectors, last int) []byte {
	b := make([]byte, 92)
	copy(b, "EFI PART")
	put := binary.LittleEndian
	put.PutUint32(b[8:], 1<<16)
	put.PutUint32(b[12:], 92)
	put.PutUint64(b[24:], uint64(my))
	put.PutUint64(b[32:], uint64(alternate))
	put.PutUint64(b[40:], uint64(2+tableSectors))
	put.PutUint64(b[48:], uint64(last-tableSectors-1))
	putGUID(b[56:], "11111111-2222-3333-4444-555566667777")
	put.PutUint64(b[72:], uint64(entries))
	put.PutUint32(b[80:], places)
	put.PutUint32(b[84:], 128)
	put.PutUint32(b[88:], crc32.ChecksumIEEE(table))
	put.PutUint32(b[16:], crc32.ChecksumIEEE(b))
	return b
}

func writeProtectiveMBR(disk []byte, last int) {
	b := disk[446:]
	copy(b, []byte{0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff, 1, 0, 0, 0})
	binary.LittleEndian.PutUint32(b[12:], uint32(last))
	disk[510], disk[511] = 0x55, 0xaa
}

// putGUID writes the text form with its first three groups in little endian.
func putGUID(b []byte, text string) {
	groups := strings.Split(text, "-")
	at := 0
	for i, group := range groups {
		raw, err := hex.DecodeString(group)
		if err != nil || len(groups) != 5 {
			panic("gpttest: " + text + " is no GUID")
		}
		for j := range raw {
			if i < 3 {
				b[at+j] = raw[len(raw)-1-j]
			} else {
				b[at+j] = raw[j]
			}
		}
		at += len(raw)
	}
}
