package erofs

import (
	"bytes"

	"conifer.dev/conifer/internal/fault"
)

// entryBytes is the size of an entry of a folder: the inode's number, where the name begins in the block, and a type.
const entryBytes = 12

// folder appends the entries of a folder, which are in blocks of their own lists, to todo.
func (r *reader) folder(node *Node, todo []entry) ([]entry, error) {
	r.folderBytes += node.SizeBytes
	if r.folderBytes > r.sizeBytes {
		return nil, fault.New(fault.Corrupt, "erofs image of %d bytes has folders of %d", r.sizeBytes, r.folderBytes)
	}
	left := node.SizeBytes
	for _, part := range node.Content {
		part.SizeBytes = min(part.SizeBytes, left)
		left -= part.SizeBytes
		b, err := r.bytes(part)
		if err != nil {
			return nil, err
		}
		for len(b) > 0 {
			n := min(len(b), int(r.blockBytes()))
			if todo, err = r.block(node, b[:n], todo); err != nil {
				return nil, err
			}
			b = b[n:]
		}
	}
	return todo, nil
}

// block appends the entries of one block, which are as many as fit before the first name.
func (r *reader) block(node *Node, b []byte, todo []entry) ([]entry, error) {
	if len(b) < entryBytes {
		return nil, fault.New(fault.Corrupt, "erofs folder %q has a block of %d bytes", node.Path, len(b))
	}
	names := int(le.Uint16(b[8:]))
	if names < entryBytes || names > len(b) || names%entryBytes != 0 {
		return nil, fault.New(fault.Corrupt, "erofs folder %q has names at %d", node.Path, names)
	}
	for at := 0; at < names; at += entryBytes {
		start, end := int(le.Uint16(b[at+8:])), len(b)
		if at+entryBytes < names {
			end = int(le.Uint16(b[at+entryBytes+8:]))
		}
		if start < names || start > end || end > len(b) {
			return nil, fault.New(fault.Corrupt, "erofs folder %q has a name from %d to %d", node.Path, start, end)
		}
		name, _, _ := bytes.Cut(b[start:end], []byte{0}) // the last one is filled up with zeros
		if s := string(name); s != "." && s != ".." {
			path, err := r.join(node.Path, s)
			if err != nil {
				return nil, err
			}
			todo = append(todo, entry{le.Uint64(b[at:]), path})
		}
	}
	return todo, nil
}
