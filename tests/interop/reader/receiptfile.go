package main

import (
	"bytes"
	"encoding/hex"
	"regexp"
	"strings"
)

// FORMAT.md, "Log proofs", "Refreshes" and "Receipt files".

const (
	maxReceiptFileBytes  = 1 << 20
	maxRefreshCharacters = 16384
	receiptFileMark      = "shared-pod-receipt/v1"
)

var (
	laterReceiptFile = regexp.MustCompile(`\Ashared-pod-receipt/v[1-9][0-9]{0,8}\z`)
	receiptFileID    = regexp.MustCompile(`\A[a-zA-Z0-9_-]{6,36}\z`)
	receiptHeader    = regexp.MustCompile(`(?im)^pod-receipt:[ \t]*([^\r\n]*?)[ \t\r]*$`)
)

// ReceiptFile is a receipt with what was added to it since.
type ReceiptFile struct {
	ItemID    string // empty if it is not known
	Lines     []string
	Receipt   *Receipt
	Refreshes []*Refresh
}

// Refresh proves a receipt's batch in a later log.
type Refresh struct {
	Consistency [][]byte
	Index       uint64
	Path        [][]byte
	Note        []byte
}

func readReceiptFile(content []byte) (*ReceiptFile, error) {
	if len(content) > maxReceiptFileBytes {
		return nil, refuse(Malformed, "a receipt file is at most 1048576 bytes")
	}
	if bytes.ContainsFunc(content, func(r rune) bool { return r > 0x7f }) {
		return nil, refuse(Malformed, "a receipt file is ASCII")
	}
	text := string(content)
	first, _, _ := strings.Cut(text, "\n")
	mark, _, _ := strings.Cut(first, " ")
	if mark == receiptFileMark {
		return readReceiptLines(text)
	}
	if laterReceiptFile.MatchString(mark) {
		return nil, refuse(FormatTooNew, "a %s", mark)
	}
	wire := strings.TrimSpace(text)
	if found := receiptHeader.FindAllStringSubmatch(text, -1); len(found) > 1 {
		return nil, refuse(Malformed, "%d headers with a receipt", len(found))
	} else if len(found) == 1 {
		wire = found[0][1]
	}
	receipt, err := readReceipt(wire)
	return &ReceiptFile{"", []string{wire}, receipt, nil}, err
}

func readReceiptLines(text string) (*ReceiptFile, error) {
	whole, is := strings.CutSuffix(text, "\n")
	lines := strings.Split(whole, "\n")
	if !is || len(lines) < 2 {
		return nil, refuse(Malformed, "whole lines were expected")
	}
	id, _ := strings.CutPrefix(lines[0], receiptFileMark+" ")
	if id != "-" && !receiptFileID.MatchString(id) {
		return nil, refuse(Malformed, "an item's id or a hyphen was expected")
	}
	receipt, err := readReceipt(lines[1])
	if err != nil {
		return nil, err
	}
	file := &ReceiptFile{"", lines[1:], receipt, nil}
	if id != "-" {
		file.ItemID = id
	}
	for _, line := range lines[2:] {
		refresh, err := readRefresh(line)
		if err != nil {
			return nil, err
		}
		file.Refreshes = append(file.Refreshes, refresh)
	}
	return file, nil
}

func readRefresh(line string) (*Refresh, error) {
	if len(line) > maxRefreshCharacters {
		return nil, refuse(Malformed, "a refresh has at most 16384 characters")
	}
	text, err := decodeBase64(line)
	if err != nil {
		return nil, err
	}
	head, note, _ := strings.Cut(string(text), "\n\n")
	lines := strings.Split(head, "\n")
	if len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return nil, refuse(Malformed, "no proof of c2sp.org/tlog-proof@v1")
	}
	encoded, isExtra := strings.CutPrefix(lines[1], "extra ")
	index, isIndex := strings.CutPrefix(lines[2], "index ")
	if !isExtra || !isIndex {
		return nil, refuse(Malformed, "an extra line, then an index line were expected")
	}
	refresh := &Refresh{Note: []byte(note)}
	if refresh.Index, err = readDecimal(index); err != nil {
		return nil, err
	}
	for _, line := range lines[3:] {
		each, err := decodeBase64(line)
		if err != nil {
			return nil, err
		}
		refresh.Path = append(refresh.Path, each)
	}
	if err := areHashes(refresh.Path...); err != nil {
		return nil, err
	}
	return refresh, refresh.readExtra(encoded)
}

func (r *Refresh) readExtra(encoded string) error {
	extra, err := decodeBase64(encoded)
	if err != nil {
		return err
	}
	fields, err := splitLabelled(extra, "refresh/v1", 2)
	if err != nil {
		return err
	}
	if len(fields[1])%hashBytes != 0 {
		return refuse(Malformed, "a consistency proof is whole hashes")
	}
	for path := fields[1]; len(path) > 0; path = path[hashBytes:] {
		r.Consistency = append(r.Consistency, path[:hashBytes])
	}
	return nil
}

// verify returns what the receipt proves, and the size of every log that was verified.
func (f *ReceiptFile) verify(trust Trust) (*Proven, []any, error) {
	proven, err := f.Receipt.verify(trust)
	if err != nil {
		return nil, nil, err
	}
	last, err := readCheckpoint(f.Receipt.Checkpoint)
	if err != nil {
		return nil, nil, err
	}
	sizes := []any{last.Size}
	for _, refresh := range f.Refreshes {
		if last, err = refresh.verify(f.Receipt, last, trust); err != nil {
			return nil, nil, err
		}
		sizes = append(sizes, last.Size)
	}
	return proven, sizes, nil
}

func (r *Refresh) verify(receipt *Receipt, last *Checkpoint, trust Trust) (*Checkpoint, error) {
	if r.Index != receipt.Index {
		return nil, refuse(Malformed, "a refresh of another batch")
	}
	next, err := readCheckpoint(r.Note)
	if err != nil {
		return nil, err
	}
	if err := isLaterEpoch(last, next, trust); err != nil {
		return nil, err
	}
	if err := next.verify(trust.VaultLogs); err != nil {
		return nil, err
	}
	if err := verifyConsistency(last.Size, next.Size, last.Root, next.Root, r.Consistency); err != nil {
		return nil, err
	}
	root, err := climb(r.Index, next.Size, leafHash(receipt.Header), r.Path)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(root, next.Root) {
		return nil, refuse(Damaged, "the batch is not in the later log")
	}
	return next, nil
}

func isLaterEpoch(last, next *Checkpoint, trust Trust) error {
	_, before, err := epochOf(last.Origin)
	if err != nil {
		return err
	}
	pod, epoch, err := epochOf(next.Origin)
	if err != nil {
		return err
	}
	if pod != hex.EncodeToString(trust.PodID)[:32] {
		return refuse(ForeignPod, "the checkpoint is of another pod")
	}
	if epoch < before {
		return refuse(Rollback, "of an earlier epoch")
	}
	return nil
}

// continues asks that every line of the earlier file stands in this one, in its place.
func (f *ReceiptFile) continues(earlier *ReceiptFile) error {
	if len(earlier.Lines) > len(f.Lines) {
		return refuse(Rollback, "a refresh is gone")
	}
	for i, line := range earlier.Lines {
		if f.Lines[i] != line {
			return refuse(Rollback, "a line is another")
		}
	}
	return nil
}

func init() {
	runners["receipt-files"] = runReceiptFile
}

// runReceiptFile tells reading, checking and comparing apart, where the vector says which of them refuses.
func runReceiptFile(v Vector) (object, error) {
	content := []byte(v.text("file"))
	if raw := v.bytes("file_hex"); raw != nil {
		content = raw
	}
	refusedAt := func(at string, err error) error {
		if (err != nil) != (v.text("at") == at) {
			return refuse(notOurs, "%s: %v, where the vector is refused at %q", at, err, v.text("at"))
		}
		return err
	}
	file, err := readReceiptFile(content)
	if err = refusedAt("read", err); err != nil {
		return nil, err
	}
	proven, sizes, err := file.verify(Trust{
		PodID: v.bytes("pod_id"), VaultLogs: v.list("log_keys"), Functions: v.list("function_keys"), C: v.bytes("c"),
	})
	if err = refusedAt("verify", err); err != nil {
		return nil, err
	}
	if earlier := v.text("earlier"); earlier != "" {
		kept, err := readReceiptFile([]byte(earlier))
		if err != nil {
			return nil, err
		}
		if err = refusedAt("continue", file.continues(kept)); err != nil {
			return nil, err
		}
	}
	members := proven.members()
	delete(members, "digest")
	members["item_id"], members["sizes"] = nil, sizes
	if file.ItemID != "" {
		members["item_id"] = file.ItemID
	}
	return object{"proves": members}, nil
}
