package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"regexp"
)

// FORMAT.md, "Segments", "Promises" and "Objects".

const (
	segmentPage        = 1024
	maxSegment         = 16 << 20
	maxPromise         = 1200
	nameBytes          = 22
	headerBytes        = 325
	headerTagCharacter = 217
)

// SegmentItem is one row of a segment's table item.
type SegmentItem struct{ Name, C, Digest, Sealed []byte }

// Segment is the batch of a function.
type Segment struct {
	UID, Header, Wraps, Signature []byte
	Items                         []SegmentItem
}

var segmentSchema = [][2]string{
	{"batch", "CREATE TABLE batch (uid BLOB NOT NULL, header BLOB NOT NULL, wraps BLOB NOT NULL, signature BLOB NOT NULL) STRICT"},
	{"item", "CREATE TABLE item (name BLOB NOT NULL, c BLOB NOT NULL, digest BLOB NOT NULL, sealed BLOB NOT NULL) STRICT"},
}

func readSegment(content, fileKey []byte) (*Segment, error) {
	if len(content) < segmentPage || len(content) > maxSegment || len(content)%segmentPage != 0 {
		return nil, refuse(Malformed, "a segment is whole pages of 1024 bytes, at most 16 MiB")
	}
	pages, err := newPageCipher(fileKey, content[:saltBytes], segmentPage)
	if err != nil {
		return nil, err
	}
	image := []byte{}
	for at := 0; at < len(content); at += segmentPage {
		plain := pages.decrypt(uint32(at/segmentPage+1), content[at:at+segmentPage])
		if plain == nil {
			return nil, refuse(Damaged, "a page of a segment does not open under the file key")
		}
		image = append(image, plain...)
	}
	image[18], image[19] = 1, 1
	if countedPages(image) > uint32(len(content)/segmentPage) {
		return nil, refuse(Damaged, "a segment lacks pages")
	}
	database, err := openDatabase(image)
	if err != nil {
		return nil, err
	}
	return segmentRows(database)
}

func segmentRows(database *Database) (*Segment, error) {
	schema, err := database.rows("ttt", "type, name, sql", "FROM sqlite_schema LIMIT 3")
	if err != nil {
		return nil, err
	}
	if len(schema) != len(segmentSchema) {
		return nil, refuse(Damaged, "a segment has two tables")
	}
	for i, row := range schema {
		if row[0] != "table" || row[1] != segmentSchema[i][0] || row[2] != segmentSchema[i][1] {
			return nil, refuse(Damaged, "a segment's tables are not a segment's")
		}
	}
	batches, err := database.rows("ibbbb", "rowid, uid, header, wraps, signature", "FROM batch LIMIT 2")
	if err != nil {
		return nil, err
	}
	if len(batches) != 1 || batches[0][0] != int64(1) {
		return nil, refuse(Damaged, "a segment holds one batch")
	}
	items, err := database.rows("ibbbb", "rowid, name, c, digest, sealed", "FROM item LIMIT 513")
	if err != nil {
		return nil, err
	}
	if len(items) < 1 || len(items) > maxItems {
		return nil, refuse(Damaged, "a segment holds 1 to 512 items")
	}
	batch := batches[0]
	segment := &Segment{UID: batch[1].([]byte), Header: batch[2].([]byte), Wraps: batch[3].([]byte), Signature: batch[4].([]byte)}
	for i, row := range items {
		if row[0] != int64(i+1) {
			return nil, refuse(Damaged, "a segment's items are not in their order")
		}
		segment.Items = append(segment.Items, SegmentItem{row[1].([]byte), row[2].([]byte), row[3].([]byte), row[4].([]byte)})
	}
	return segment, nil
}

func (s *Segment) verify(policy *SignedPolicy) (*Header, error) {
	h, err := readHeader(s.Header)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(h.PodID, policy.PodID) {
		return nil, refuse(ForeignPod, "a segment of another pod")
	}
	if !bytes.Equal(h.Policy, policy.Digest) {
		return nil, refuse(Policy, "a segment under another policy")
	}
	if !h.signedBy(policy.FunctionLogs, s.Signature) || !bytes.Equal(h.UID, s.UID) {
		return nil, refuse(Damaged, "a segment that no function signed")
	}
	if !bytes.Equal(hash(s.Wraps), h.WrapsHash) {
		return nil, refuse(Damaged, "the wraps are not those of the header")
	}
	wraps, err := entries(s.Wraps)
	if err != nil {
		return nil, err
	}
	if len(wraps) != len(policy.Kids) {
		return nil, refuse(Damaged, "not sealed to exactly the recipients")
	}
	for _, kid := range policy.Kids {
		if _, is := wraps[string(kid)]; !is {
			return nil, refuse(Damaged, "not sealed to exactly the recipients")
		}
	}
	return h, s.verifyItems(h)
}

func (s *Segment) verifyItems(h *Header) error {
	if uint32(len(s.Items)) != h.Count {
		return refuse(Damaged, "the header counts other items")
	}
	leaves := [][]byte{}
	for i, item := range s.Items {
		if len(item.Name) != nameBytes || len(item.C) != hashBytes {
			return refuse(Malformed, "a name or commitment of another length")
		}
		if !bytes.Equal(hash(item.Sealed), item.Digest) {
			return refuse(Damaged, "a sealed item was altered")
		}
		leaves = append(leaves, itemLeaf(h.PodID, h.UID, uint32(i), item.C, item.Digest))
	}
	if !bytes.Equal(rootOf(leaves), h.ItemRoot) {
		return refuse(Damaged, "the items are not those of the header")
	}
	return nil
}

// Promise is what a function gives in place of a receipt.
type Promise struct {
	C, Digest []byte
	I         uint32
	Header    []byte // unread
	ItemPath  [][]byte
	Signature []byte
}

func readPromise(wire string) (*Promise, error) {
	if len(wire) > maxPromise {
		return nil, refuse(Malformed, "a promise has at most 1200 characters")
	}
	raw, err := decodeBase64(wire)
	if err != nil {
		return nil, err
	}
	fields, err := splitLabelled(raw, "promise/v1", 7)
	if err != nil {
		return nil, err
	}
	p := &Promise{C: fields[1], Digest: fields[2], Header: fields[4], Signature: fields[6]}
	if err := areHashes(p.C, p.Digest); err != nil {
		return nil, err
	}
	if p.I, err = readLE32(fields[3]); err != nil {
		return nil, err
	}
	if len(fields[5])%hashBytes != 0 || len(p.Signature) != ed25519.SignatureSize {
		return nil, refuse(Malformed, "whole hashes and a whole signature")
	}
	for path := fields[5]; len(path) > 0; path = path[hashBytes:] {
		p.ItemPath = append(p.ItemPath, path[:hashBytes])
	}
	return p, nil
}

func (p *Promise) verify(podID []byte, functions [][]byte, c []byte) (*Header, error) {
	h, err := readHeader(p.Header)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(h.PodID, podID) {
		return nil, refuse(ForeignPod, "a promise of another pod")
	}
	if !namesKey(h.LogKeyHash, functions) {
		return nil, refuse(Damaged, "the header names no function's key")
	}
	if c != nil && !bytes.Equal(c, p.C) {
		return nil, refuse(Damaged, "a promise for another item")
	}
	root, err := climb(uint64(p.I), uint64(h.Count), itemLeaf(h.PodID, h.UID, p.I, p.C, p.Digest), p.ItemPath)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(root, h.ItemRoot) || !h.signedBy(functions, p.Signature) {
		return nil, refuse(Damaged, "the item is not in the batch, or nobody signed it")
	}
	return h, nil
}

var objectKey = regexp.MustCompile(`\Av1/([0-9a-f])/([0-9a-f]{64})/([0-9a-f]{43}([0-9a-f]))\z`)

func readObjectKey(key string, podID []byte) ([]byte, error) {
	found := objectKey.FindStringSubmatch(key)
	if found == nil || found[1] != found[4] || found[2] != hex.EncodeToString(podID) {
		return nil, refuse(Malformed, "no key of a segment of this pod")
	}
	return hex.DecodeString(found[3])
}

var laterTags = regexp.MustCompile(`\A[1-9][0-9]{0,8}\z`)

// readTags returns the promise that an object's tags make, as it travels.
func readTags(tags map[string]string) (string, error) {
	if mark := tags["shared-pod"]; mark != "1" {
		if laterTags.MatchString(mark) {
			return "", refuse(FormatTooNew, "tags of a later format")
		}
		return "", refuse(Malformed, "no tags of a segment")
	}
	if len(tags["header-1"]) != headerTagCharacter {
		return "", refuse(Malformed, "the header is cut elsewhere")
	}
	values := [][]byte{}
	for _, each := range []struct {
		text  string
		bytes int
	}{{tags["c"], hashBytes}, {tags["digest"], hashBytes}, {tags["header-1"] + tags["header-2"], headerBytes}, {tags["signature"], ed25519.SignatureSize}} {
		raw, err := decodeBase64URL(each.text)
		if err != nil {
			return "", err
		}
		if len(raw) != each.bytes {
			return "", refuse(Malformed, "a tag of another length")
		}
		values = append(values, raw)
	}
	return base64.StdEncoding.EncodeToString(
		pae([]byte("promise/v1"), values[0], values[1], le32(0), values[2], nil, values[3])), nil
}
