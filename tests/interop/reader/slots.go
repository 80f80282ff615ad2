package main

import (
	"regexp"
	"unicode/utf8"
)

// FORMAT.md, "Slots".

var inviteName = regexp.MustCompile(`\A[A-Za-z0-9][A-Za-z0-9._-]{0,63}\z`)

// Slot is one entry of the policy.
type Slot struct {
	Number  uint32
	Lookup  []byte
	Wrap    []byte // nil: none
	Caveats mpMap  // nil: one is unknown
	State   string
	Rewrap  []byte
}

// IsOpen says whether items may come through the slot.
func (s *Slot) IsOpen() bool { return s.State == "active" && s.Wrap != nil && s.Caveats != nil }

// open returns the file key.
func (s *Slot) open(databaseKey, podID []byte) ([]byte, error) {
	if !s.IsOpen() {
		return nil, refuse(WrongKey, "the slot is closed")
	}
	associated := pae([]byte("slot/v1"), podID, le32(s.Number), writeMP(s.Caveats))
	fileKey := openBox(derive(databaseKey, podID, "wrap"), s.Wrap, associated)
	if len(fileKey) != 32 {
		return nil, refuse(WrongKey, "the key does not open its slot")
	}
	return fileKey, nil
}

// SlotSecrets is what a maintainer finds in a rewrap.
type SlotSecrets struct {
	WrapKey, ViewKey, NameKey []byte
	Name                      string
}

// openRewrap opens the slot's keys and name.
func (i *Identity) openRewrap(rewrap, podID []byte, number uint32) (*SlotSecrets, error) {
	info := pae([]byte("rewrap/v1"), []byte{suite}, podID, le32(number))
	plaintext, err := i.openSealed(rewrap, info)
	if err != nil {
		return nil, err
	}
	fields, err := splitN(plaintext, 4)
	if err != nil {
		return nil, err
	}
	for _, key := range fields[:3] {
		if len(key) != 32 {
			return nil, refuse(Malformed, "a key of a slot is 32 bytes")
		}
	}
	if !utf8.Valid(fields[3]) {
		return nil, refuse(Malformed, "the name of a slot is not UTF-8")
	}
	return &SlotSecrets{fields[0], fields[1], fields[2], string(fields[3])}, nil
}
