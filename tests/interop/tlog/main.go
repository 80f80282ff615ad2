// Command tlog checks the log part of receipt files with Go's own transparency
// log packages: signed notes by golang.org/x/mod/sumdb/note, inclusion and
// consistency proofs by golang.org/x/mod/sumdb/tlog. It shares no code with the
// project and knows of its format only what vault/FORMAT.md says under "Log
// proofs", "Receipts", "Refreshes" and "Receipt files".
//
//	tlog receipts VKEY FILE...
//	tlog vectors FILE...
//
// VKEY is the log's key as C2SP signed-note writes it. For each file it prints
// one line of JSON: the sizes of the logs that were verified, or why not.
// Vectors are those of vault/testdata/tree/inclusion and tree/consistency.
package main

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// A proof is a C2SP tlog-proof, taken apart.
type proof struct {
	fields [][]byte // of the pae in extra
	index  int64
	path   tlog.RecordProof
	note   []byte
}

// A checkpoint is the text of a verified note.
type checkpoint struct {
	size int64
	root tlog.Hash
}

type verdict struct {
	File  string  `json:"file"`
	Sizes []int64 `json:"sizes"`
	Error string  `json:"error"`
}

func main() {
	verify, files := checkVector, os.Args[2:]
	if os.Args[1] == "receipts" {
		verifier, err := note.NewVerifier(os.Args[2])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		verify, files = func(name string) ([]int64, error) { return check(name, verifier) }, os.Args[3:]
	}
	out := json.NewEncoder(os.Stdout)
	for _, name := range files {
		found := verdict{File: name}
		var err error
		if found.Sizes, err = verify(name); err != nil {
			found.Error = err.Error()
		}
		if err := out.Encode(found); err != nil {
			os.Exit(1)
		}
	}
}

func check(name string, verifier note.Verifier) ([]int64, error) {
	content, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	lines := strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")
	if len(lines) < 2 || !strings.HasPrefix(lines[0], "shared-pod-receipt/v1 ") {
		return nil, errors.New("not a receipt file")
	}
	receipt, err := parse(lines[1], "receipt/v1", 6)
	if err != nil {
		return nil, fmt.Errorf("receipt: %w", err)
	}
	header := receipt.fields[4]
	last, err := include(receipt, header, verifier)
	if err != nil {
		return nil, fmt.Errorf("receipt: %w", err)
	}
	sizes := []int64{last.size}
	for _, line := range lines[2:] {
		if last, err = extend(last, line, receipt.index, header, verifier); err != nil {
			return nil, fmt.Errorf("refresh: %w", err)
		}
		sizes = append(sizes, last.size)
	}
	return sizes, nil
}

// extend verifies a refresh: the header once more, and that the log only grew.
func extend(last checkpoint, line string, index int64, header []byte, verifier note.Verifier) (checkpoint, error) {
	refresh, err := parse(line, "refresh/v1", 2)
	if err != nil {
		return last, err
	}
	if refresh.index != index {
		return last, errors.New("of another batch")
	}
	next, err := include(refresh, header, verifier)
	if err != nil {
		return last, err
	}
	hashes, err := split(refresh.fields[1])
	if err != nil {
		return last, err
	}
	return next, tlog.CheckTree(tlog.TreeProof(hashes), next.size, next.root, last.size, last.root)
}

// include verifies a proof's note, and that the header is the record it names.
func include(p proof, header []byte, verifier note.Verifier) (checkpoint, error) {
	opened, err := note.Open(p.note, note.VerifierList(verifier))
	if err != nil {
		return checkpoint{}, err
	}
	log, err := parseCheckpoint(opened.Text, verifier.Name())
	if err != nil {
		return log, err
	}
	return log, tlog.CheckRecord(p.path, log.size, log.root, p.index, tlog.RecordHash(header))
}

func parseCheckpoint(text, origin string) (checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[3] != "" || lines[0] != origin {
		return checkpoint{}, errors.New("not a checkpoint of this log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return checkpoint{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return checkpoint{size, root}, err
}

func parse(line, label string, fields int) (proof, error) {
	var p proof
	text, err := base64.StdEncoding.Strict().DecodeString(line)
	if err != nil {
		return p, err
	}
	head, signed, _ := strings.Cut(string(text), "\n\n")
	p.note = []byte(signed)
	lines := strings.Split(head, "\n")
	if len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return p, errors.New("not a tlog-proof")
	}
	extra, isExtra := strings.CutPrefix(lines[1], "extra ")
	index, isIndex := strings.CutPrefix(lines[2], "index ")
	if !isExtra || !isIndex {
		return p, errors.New("an extra line, then an index line were expected")
	}
	packed, err := base64.StdEncoding.Strict().DecodeString(extra)
	if err != nil {
		return p, err
	}
	if p.fields, err = unpae(packed); err != nil {
		return p, err
	}
	if len(p.fields) != fields || string(p.fields[0]) != label {
		return p, errors.New("not " + label)
	}
	if p.index, err = strconv.ParseInt(index, 10, 64); err != nil {
		return p, err
	}
	for _, each := range lines[3:] {
		hash, err := tlog.ParseHash(each)
		if err != nil {
			return p, err
		}
		p.path = append(p.path, hash)
	}
	return p, nil
}

// unpae splits LE64(count), then LE64(length) and bytes of each field.
func unpae(packed []byte) ([][]byte, error) {
	cut := func(count uint64) ([]byte, error) {
		if uint64(len(packed)) < count {
			return nil, errors.New("pae: cut short")
		}
		field := packed[:count]
		packed = packed[count:]
		return field, nil
	}
	number := func() (uint64, error) {
		raw, err := cut(8)
		if err != nil {
			return 0, err
		}
		return binary.LittleEndian.Uint64(raw), nil
	}
	count, err := number()
	if err != nil {
		return nil, err
	}
	var fields [][]byte
	for ; count > 0; count-- {
		length, err := number()
		if err != nil {
			return nil, err
		}
		field, err := cut(length)
		if err != nil {
			return nil, err
		}
		fields = append(fields, field)
	}
	if len(packed) > 0 {
		return nil, errors.New("pae: bytes follow the last field")
	}
	return fields, nil
}

func split(joined []byte) ([]tlog.Hash, error) {
	if len(joined)%tlog.HashSize != 0 {
		return nil, errors.New("not a list of hashes")
	}
	hashes := make([]tlog.Hash, len(joined)/tlog.HashSize)
	for i := range hashes {
		copy(hashes[i][:], joined[i*tlog.HashSize:])
	}
	return hashes, nil
}
