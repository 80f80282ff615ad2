package main

import (
	"bytes"
	"encoding/hex"
	"strings"
)

// FORMAT.md, "Receipts".

const maxReceiptCharacters = 4000

// Receipt is the proof that a pod accepted one item.
type Receipt struct {
	C, Digest  []byte
	I          uint32
	Header     []byte // unread
	ItemPath   [][]byte
	Index      uint64 // in the log
	LogPath    [][]byte
	Checkpoint []byte
}

// Proven is what a receipt that holds says.
type Proven struct {
	C, Digest []byte
	I         uint32
	Batch     uint64
	MS        int64
	Epoch     uint64
}

// Trust is what a receipt is checked with; C and Epoch only if they are known.
type Trust struct {
	PodID                []byte
	VaultLogs, Functions [][]byte
	C                    []byte
	Epoch                uint64
}

func readReceipt(wire string) (*Receipt, error) {
	if len(wire) > maxReceiptCharacters {
		return nil, refuse(Malformed, "a receipt has at most 4000 characters")
	}
	text, err := decodeBase64(wire)
	if err != nil {
		return nil, err
	}
	proof, note, is := strings.Cut(string(text), "\n\n")
	lines := strings.Split(proof, "\n")
	if !is || len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return nil, refuse(Malformed, "no proof of c2sp.org/tlog-proof@v1")
	}
	receipt := &Receipt{Checkpoint: []byte(note)}
	index, is := strings.CutPrefix(lines[2], "index ")
	if !is {
		return nil, refuse(Malformed, "a receipt without an index")
	}
	if receipt.Index, err = readDecimal(index); err != nil {
		return nil, err
	}
	for _, line := range lines[3:] {
		each, err := decodeBase64(line)
		if err != nil {
			return nil, err
		}
		receipt.LogPath = append(receipt.LogPath, each)
	}
	if err := areHashes(receipt.LogPath...); err != nil {
		return nil, err
	}
	// The proof's own shape first, then what a later format may have changed.
	if err := receipt.readExtra(lines[1]); err != nil {
		return nil, err
	}
	return receipt, receipt.readNote()
}

func (r *Receipt) readExtra(line string) error {
	encoded, is := strings.CutPrefix(line, "extra ")
	if !is {
		return refuse(Malformed, "a receipt without its extra data")
	}
	extra, err := decodeBase64(encoded)
	if err != nil {
		return err
	}
	fields, err := splitLabelled(extra, "receipt/v1", 6)
	if err != nil {
		return err
	}
	r.C, r.Digest = fields[1], fields[2]
	if err := areHashes(r.C, r.Digest); err != nil {
		return err
	}
	if r.I, err = readLE32(fields[3]); err != nil {
		return err
	}
	r.Header = fields[4]
	if len(fields[5])%hashBytes != 0 {
		return refuse(Malformed, "an item path is whole hashes")
	}
	for path := fields[5]; len(path) > 0; path = path[hashBytes:] {
		r.ItemPath = append(r.ItemPath, path[:hashBytes])
	}
	return nil
}

// readNote asks that the checkpoint has size = index + 1.
func (r *Receipt) readNote() error {
	checkpoint, err := readCheckpoint(r.Checkpoint)
	if err != nil {
		return err
	}
	if checkpoint.Size != r.Index+1 {
		return refuse(Malformed, "the checkpoint is not the batch's own")
	}
	return nil
}

func (r *Receipt) verify(trust Trust) (*Proven, error) {
	h, err := readHeader(r.Header)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(h.PodID, trust.PodID) {
		return nil, refuse(ForeignPod, "a receipt of another pod")
	}
	if !namesKey(h.LogKeyHash, trust.VaultLogs) && !namesKey(h.LogKeyHash, trust.Functions) {
		return nil, refuse(Damaged, "the header names no log key of the pod")
	}
	if trust.C != nil && !bytes.Equal(trust.C, r.C) {
		return nil, refuse(Damaged, "a receipt for another item")
	}
	leaf := itemLeaf(h.PodID, h.UID, r.I, r.C, r.Digest)
	root, err := climb(uint64(r.I), uint64(h.Count), leaf, r.ItemPath)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(root, h.ItemRoot) {
		return nil, refuse(Damaged, "the item is not in the batch")
	}
	return r.verifyLog(h, trust)
}

func (r *Receipt) verifyLog(h *Header, trust Trust) (*Proven, error) {
	checkpoint, err := readCheckpoint(r.Checkpoint)
	if err != nil {
		return nil, err
	}
	pod, epoch, err := epochOf(checkpoint.Origin)
	if err != nil {
		return nil, err
	}
	if pod != hex.EncodeToString(trust.PodID)[:32] {
		return nil, refuse(ForeignPod, "the checkpoint is of another pod")
	}
	if err := checkpoint.verify(trust.VaultLogs); err != nil {
		return nil, err
	}
	root, err := climb(r.Index, checkpoint.Size, leafHash(h.Raw), r.LogPath)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(root, checkpoint.Root) {
		return nil, refuse(Damaged, "the batch is not in the log")
	}
	if trust.Epoch != 0 && trust.Epoch != epoch {
		return nil, refuse(Damaged, "a receipt of another epoch")
	}
	return &Proven{r.C, r.Digest, r.I, checkpoint.Size, h.MS, epoch}, nil
}

func namesKey(keyHash []byte, keys [][]byte) bool {
	for _, key := range keys {
		if bytes.Equal(hash(key), keyHash) {
			return true
		}
	}
	return false
}

func (p *Proven) members() object {
	return object{
		"c": toHex(p.C), "digest": toHex(p.Digest), "index": int64(p.I), "batch": p.Batch, "ms": p.MS, "epoch": p.Epoch,
	}
}
