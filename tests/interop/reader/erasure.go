package main

import (
	"bytes"
	"encoding/binary"
)

// FORMAT.md, "Erasure".

// verifyErasure returns the time of a statement that stands in place of item i of a batch.
func verifyErasure(statement []byte, header *Header, i uint32, digest []byte, signers [][]byte) (uint64, error) {
	parts, err := splitN(statement, 3)
	if err != nil {
		return 0, err
	}
	fields, err := splitLabelled(parts[0], "erasure/v1", 6)
	if err != nil {
		return 0, err
	}
	if len(fields[5]) != 8 {
		return 0, refuse(Malformed, "a time is 8 bytes")
	}
	expected := [][]byte{header.PodID, header.UID, le32(i), digest}
	for at, each := range expected {
		if !bytes.Equal(fields[at+1], each) {
			return 0, refuse(Damaged, "a statement about another item")
		}
	}
	if !contains(signers, parts[1]) || !holds(parts[1], parts[0], parts[2]) {
		return 0, refuse(Damaged, "a statement not signed by a maintainer of the pod")
	}
	return binary.LittleEndian.Uint64(fields[5]), nil
}
