// Package imagetest writes small image folders for tests: files with the names and the image.json of
// `conifer image build`, whose content follows from the version alone.
//
// Start with [Write]. What it writes does not boot.
package imagetest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// RootSizeBytes is the size of every root that Write makes; it is not a multiple of a chunk.
const RootSizeBytes = 3*part + 8192

// part is the size of each kind of bytes in a root.
const part = 64 << 10

// Write makes the image folder dir of a version for amd64.
func Write(dir, version string) error {
	hash := sha256.Sum256([]byte("root hash of " + version))
	root := Root(version)
	uki := append(Noise("uki", 40_000), Noise("uki "+version, 5_000)...)
	uki = append(uki, "quiet roothash="+hex.EncodeToString(hash[:])+" gpt\x00"...)
	text, err := json.MarshalIndent(map[string]any{
		"version": version, "arch": "amd64", "created": "2026-02-01T00:00:00Z", "built_by": "imagetest",
		"root": map[string]any{"hash": hex.EncodeToString(hash[:]), "salt": "00ff", "size_bytes": len(root)},
		"packages": []map[string]string{
			{"name": "systemd", "version": "257.8-1", "source": "systemd"},
			{"name": "linux-image-amd64", "version": "6.12.1-1", "source": "linux"},
		},
	}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, b := range map[string][]byte{
		"image.json":                                    text,
		"conifer_" + version + ".efi":                   uki,
		"conifer_" + version + ".root-amd64.raw":        root,
		"conifer_" + version + ".root-amd64-verity.raw": Noise("verity "+version, 40960),
		"conifer_" + version + ".disk.raw":              append(make([]byte, 1<<20), root...),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Root is the root of a version: noise, zeros, and text that shrinks. All versions have the noise in common, but for some bytes of
// it and the end.
func Root(version string) []byte {
	b := Noise("root", part)
	for i, changed := range Noise("root "+version, 100) {
		b[(i*7919+int(changed)*101)%len(b)] ^= changed
	}
	b = append(b, make([]byte, part)...)
	b = append(b, bytes.Repeat([]byte("conifer "), part/8)...)
	return append(b, Noise("tail "+version, RootSizeBytes-3*part)...)
}

// Noise is n bytes that do not compress and follow from the seed.
func Noise(seed string, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8(sha256.Sum256([]byte(seed))).Read(b)
	return b
}
