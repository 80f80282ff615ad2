package main

import (
	"bytes"
	"encoding/binary"
)

// The write-ahead log: SQLite file format 4.1 to 4.4. Its frames hold encrypted pages.

const (
	walHeaderBytes   = 32
	frameHeaderBytes = 24
	walMagic         = 0x377f0682 // its lowest bit set: checksums are over big-endian words
	walVersion       = 3007000
)

// WAL is what the log has committed.
type WAL struct {
	pages    map[uint32][]byte // the newest committed image of each page
	size     uint32            // of the database, in pages, as the last commit names it; 0: nothing is committed
	commits  int64
	hasFrame bool
}

// readWAL reads commits until the first frame that does not follow; what is behind it was never committed.
func readWAL(log []byte) *WAL {
	wal := &WAL{pages: map[uint32][]byte{}, hasFrame: len(log) > walHeaderBytes}
	if len(log) < walHeaderBytes {
		return wal
	}
	magic := binary.BigEndian.Uint32(log)
	if magic&^1 != walMagic || binary.BigEndian.Uint32(log[4:]) != walVersion ||
		binary.BigEndian.Uint32(log[8:]) != pageSize {
		return wal
	}
	var order binary.ByteOrder = binary.LittleEndian
	if magic&1 == 1 {
		order = binary.BigEndian
	}
	salts := log[16:24]
	sum := checksum{order: order}
	if sum.add(log[:24]); !sum.is(log[24:32]) {
		return wal
	}
	pending := map[uint32][]byte{}
	for rest := log[walHeaderBytes:]; len(rest) >= frameHeaderBytes+pageSize; rest = rest[frameHeaderBytes+pageSize:] {
		header, page := rest[:frameHeaderBytes], rest[frameHeaderBytes:frameHeaderBytes+pageSize]
		sum.add(header[:8])
		sum.add(page)
		number, size := binary.BigEndian.Uint32(header), binary.BigEndian.Uint32(header[4:])
		if !bytes.Equal(header[8:16], salts) || !sum.is(header[16:]) || number == 0 {
			break
		}
		pending[number] = page
		if size > 0 {
			wal.size = size
			wal.commits++
			for each, image := range pending {
				wal.pages[each] = image
			}
			clear(pending)
		}
	}
	return wal
}

// checksum is that of section 4.2: it goes on from frame to frame.
type checksum struct {
	order    binary.ByteOrder
	one, two uint32
}

func (s *checksum) add(raw []byte) {
	for ; len(raw) >= 8; raw = raw[8:] {
		s.one += s.order.Uint32(raw) + s.two
		s.two += s.order.Uint32(raw[4:]) + s.one
	}
}

func (s *checksum) is(stored []byte) bool {
	return binary.BigEndian.Uint32(stored) == s.one && binary.BigEndian.Uint32(stored[4:]) == s.two
}
