package main

import (
	"bytes"
	"math/bits"
)

// FORMAT.md, "Trees": RFC 6962 section 2.1.

func leafHash(data []byte) []byte        { return hash([]byte{0}, data) }
func nodeHash(left, right []byte) []byte { return hash([]byte{1}, left, right) }

// rootOf is MTH over leaf hashes.
func rootOf(leaves [][]byte) []byte {
	switch len(leaves) {
	case 0:
		return hash()
	case 1:
		return leaves[0]
	}
	middle := 1 << (bits.Len(uint(len(leaves)-1)) - 1)
	return nodeHash(rootOf(leaves[:middle]), rootOf(leaves[middle:]))
}

// climb returns the root that a path leads to from the leaf at index of size (RFC 9162 section 2.1.3.2).
func climb(index, size uint64, leaf []byte, path [][]byte) ([]byte, error) {
	if index >= size {
		return nil, refuse(Malformed, "leaf %d of a tree of %d", index, size)
	}
	if err := areHashes(append([][]byte{leaf}, path...)...); err != nil {
		return nil, err
	}
	// Below, both siblings of a level may exist; above, only left ones: one for each bit set.
	inner := bits.Len64(index ^ (size - 1))
	if len(path) != inner+bits.OnesCount64(index>>inner) {
		return nil, refuse(Malformed, "a path of %d hashes for leaf %d of %d", len(path), index, size)
	}
	found := leaf
	for level, sibling := range path {
		if level >= inner || index>>level&1 == 1 {
			found = nodeHash(sibling, found)
		} else {
			found = nodeHash(found, sibling)
		}
	}
	return found, nil
}

func areHashes(list ...[]byte) error {
	for _, each := range list {
		if len(each) != hashBytes {
			return refuse(Malformed, "a hash is 32 bytes")
		}
	}
	return nil
}

// verifyConsistency verifies that the tree of new leaves extends that of old (RFC 9162 section 2.1.4.2).
func verifyConsistency(oldSize, newSize uint64, oldRoot, newRoot []byte, path [][]byte) error {
	if err := areHashes(append([][]byte{oldRoot, newRoot}, path...)...); err != nil {
		return err
	}
	if newSize < oldSize {
		return refuse(Rollback, "%d leaves after %d", newSize, oldSize)
	}
	if oldSize == newSize || oldSize == 0 {
		return verifyTrivial(oldSize, newSize, oldRoot, newRoot, path)
	}
	if wanted := consistencyLength(oldSize, newSize); len(path) != wanted {
		return refuse(Malformed, "a proof of %d hashes, where %d were expected", len(path), wanted)
	}
	first := oldRoot
	if oldSize&(oldSize-1) != 0 {
		first, path = path[0], path[1:]
	}
	fn, sn := oldSize-1, newSize-1
	for fn&1 == 1 {
		fn, sn = fn>>1, sn>>1
	}
	fr, sr := first, first
	for _, each := range path {
		if fn&1 == 1 || fn == sn {
			fr, sr = nodeHash(each, fr), nodeHash(each, sr)
			for fn&1 == 0 && fn != 0 {
				fn, sn = fn>>1, sn>>1
			}
		} else {
			sr = nodeHash(sr, each)
		}
		fn, sn = fn>>1, sn>>1
	}
	if !bytes.Equal(fr, oldRoot) || !bytes.Equal(sr, newRoot) {
		return refuse(Rollback, "the later tree does not extend the earlier one")
	}
	return nil
}

func verifyTrivial(oldSize, newSize uint64, oldRoot, newRoot []byte, path [][]byte) error {
	if len(path) > 0 {
		return refuse(Malformed, "a proof where none is needed")
	}
	isOther := oldSize == newSize && !bytes.Equal(oldRoot, newRoot)
	if isOther || oldSize == 0 && !bytes.Equal(oldRoot, hash()) {
		return refuse(Rollback, "another root at the same size")
	}
	return nil
}

// consistencyLength is the number of hashes that PROOF(old, D[new]) of RFC 6962 2.1.2 gives.
func consistencyLength(oldSize, newSize uint64) int {
	length, isWhole := 0, true
	for oldSize != newSize {
		middle := uint64(1) << (bits.Len64(newSize-1) - 1)
		if oldSize <= middle {
			newSize = middle
		} else {
			oldSize, newSize, isWhole = oldSize-middle, newSize-middle, false
		}
		length++
	}
	if !isWhole {
		length++
	}
	return length
}
