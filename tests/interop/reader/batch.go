package main

import "bytes"

// FORMAT.md, "A batch": opening.

// OpenedBatch opens the items of one batch.
type OpenedBatch struct {
	header *Header
	key    []byte
}

// OpenedItem is what was sealed as one item.
type OpenedItem struct {
	I         uint32
	Canonical []byte
	Slot      uint32
	Salt      []byte
	Members   mpMap
}

// openBatch opens the data key: from wraps, or else from a later row of rewrap, by kid.
func (i *Identity) openBatch(header *Header, wraps []byte, later map[string][]byte) (*OpenedBatch, error) {
	if !bytes.Equal(hash(wraps), header.WrapsHash) {
		return nil, refuse(Damaged, "the wraps are not those the header names")
	}
	info := pae([]byte("wrap/v1"), []byte{suite}, header.PodID, header.UID, header.Commit)
	secret, err := i.openSealed(wraps, info)
	if wrap, isLater := later[string(i.Kid)]; kindOf(err) == WrongKey && isLater {
		if secret, err = i.openHPKE(wrap, info), nil; secret == nil {
			err = refuse(Damaged, "sealed to this identity later, but it does not open")
		}
	}
	if err != nil {
		return nil, err
	}
	if len(secret) != 32 || !bytes.Equal(expand(secret, "shared-pod/commit/v1"), header.Commit) {
		return nil, refuse(Damaged, "the data key is not the one the header commits to")
	}
	return &OpenedBatch{header, expand(secret, "shared-pod/item-key/v1")}, nil
}

// open opens item i.
func (b *OpenedBatch) open(i uint32, sealed []byte) (*OpenedItem, error) {
	nonce := make([]byte, 12)
	nonce[10], nonce[11] = byte(i>>8), byte(i)
	associated := pae([]byte("seal/v1"), b.header.PodID, b.header.UID, le32(i))
	plaintext := openGCM(b.key, nonce, sealed, associated)
	if plaintext == nil {
		return nil, refuse(Damaged, "item %d does not open", i)
	}
	fields, err := splitLabelled(plaintext, "item/v1", 4)
	if err != nil {
		return nil, err
	}
	slot, err := readLE32(fields[2])
	if err != nil {
		return nil, err
	}
	if len(fields[3]) != 32 {
		return nil, refuse(Malformed, "a salt is 32 bytes")
	}
	members, err := readCanonical(fields[1])
	if err != nil {
		return nil, err
	}
	return &OpenedItem{i, fields[1], slot, fields[3], members}, nil
}
