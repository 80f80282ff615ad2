package main

import (
	"bytes"
	"encoding/binary"
)

// FORMAT.md, "A batch": the header.

const maxItems = 512

// Header is the signed word of one batch.
type Header struct {
	Raw                                 []byte
	PodID, UID, LogKeyHash              []byte
	MS                                  int64
	Count                               uint32
	ItemRoot, Commit, WrapsHash, Policy []byte
}

func readHeader(raw []byte) (*Header, error) {
	fields, err := splitLabelled(raw, "batch/v1", 11)
	if err != nil {
		return nil, err
	}
	for i, size := range []int{8, 32, 16, 32, 8, 1, 4, 32, 32, 32, 32} {
		if len(fields[i]) != size {
			return nil, refuse(Malformed, "field %d of a header is %d bytes", i, size)
		}
	}
	switch fields[5][0] {
	case suite:
	case 0:
		return nil, refuse(Malformed, "suite 00 is none")
	default:
		return nil, refuse(FormatTooNew, "suite %02x is not known", fields[5])
	}
	ms, count := binary.LittleEndian.Uint64(fields[4]), binary.LittleEndian.Uint32(fields[6])
	if ms > maxInt63 {
		return nil, refuse(Malformed, "a time is below 2^63")
	}
	if count < 1 || count > maxItems {
		return nil, refuse(Malformed, "a batch has 1 to 512 items")
	}
	return &Header{raw, fields[1], fields[2], fields[3], int64(ms), count, fields[7], fields[8], fields[9], fields[10]}, nil
}

// signedBy returns the one of keys that the header names, and whether it signed it.
func (h *Header) signedBy(keys [][]byte, signature []byte) bool {
	for _, key := range keys {
		if bytes.Equal(hash(key), h.LogKeyHash) {
			return holds(key, h.Raw, signature)
		}
	}
	return false
}

// itemLeaf is item i's leaf hash in its batch's item tree.
func itemLeaf(podID, uid []byte, i uint32, c, digest []byte) []byte {
	return leafHash(pae([]byte("leaf/v1"), podID, uid, le32(i), c, digest))
}

func readLE32(raw []byte) (uint32, error) {
	if len(raw) != 4 {
		return 0, refuse(Malformed, "a number of 4 bytes was expected")
	}
	return binary.LittleEndian.Uint32(raw), nil
}
