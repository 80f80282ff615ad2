package main

import (
	"bytes"
	"encoding/hex"
	"regexp"
)

// FORMAT.md, "Policy".

// SignedPolicy is the pair pod.toml and slots.json.
type SignedPolicy struct {
	Revision     int64
	Digest       []byte
	PodID        []byte
	Config       *PodConfig
	Signer       []byte
	Signers      [][]byte
	Endorsements []Endorsement
	Kids         [][]byte // of the recipients
	FileKey      []byte   // sealed to recipients
	VaultLogs    [][]byte
	FunctionLogs [][]byte
	Slots        []*Slot
	slotOf       map[uint32]*Slot
}

// Endorsement is by's word for key.
type Endorsement struct{ Key, By, Signature []byte }

var frame = regexp.MustCompile(`(?s)\A\{"signature":"([0-9a-f]{128})","signer":"([0-9a-f]{64})","policy":(.*)\}\n\z`)

var lowerDigits = regexp.MustCompile(`\A[0-9a-f]{64}\z`)

// verifyPolicy verifies the pair in the order of FORMAT.md. An edit of pod.toml by hand, which is not signed yet,
// is borne if isEditBorne: home's own tools go on with it.
func verifyPolicy(podToml, slotsJSON []byte, isEditBorne bool) (*SignedPolicy, error) {
	parts := frame.FindSubmatch(slotsJSON)
	if parts == nil {
		return nil, refuse(Malformed, "slots.json is not the signed frame")
	}
	config, err := readPodToml(podToml)
	if err != nil {
		return nil, err
	}
	p := &SignedPolicy{Digest: hash(slotsJSON), PodID: podID(config.OwnerKey), Config: config}
	signature, _ := hex.DecodeString(string(parts[1]))
	p.Signer, _ = hex.DecodeString(string(parts[2]))
	if !holds(p.Signer, pae([]byte("policy/v1"), p.PodID, parts[3]), signature) {
		return nil, refuse(Policy, "the signature of slots.json does not hold")
	}
	value, err := readJSON(parts[3])
	if err != nil {
		return nil, err
	}
	members, is := value.(object)
	if !is {
		return nil, refuse(Malformed, "P is not one JSON object")
	}
	if err := p.verifyFirst(members, podToml, isEditBorne); err != nil {
		return nil, err
	}
	return p, p.readMembers(members)
}

// verifyFirst is what counts before the shape of every member: format, pod_toml, signers.
func (p *SignedPolicy) verifyFirst(members object, podToml []byte, isEditBorne bool) error {
	format, is := integerOf(members["format"])
	if !is || format < 1 {
		return refuse(Malformed, "format 1 was expected")
	}
	if format > 1 {
		return refuse(FormatTooNew, "slots.json is of a later format")
	}
	digest, is := members["pod_toml"].(string)
	if !is || !lowerDigits.MatchString(digest) {
		return refuse(Malformed, "pod_toml is 64 digits")
	}
	if digest != hex.EncodeToString(hash(podToml)) && !isEditBorne {
		return refuse(Policy, "pod.toml is not the one slots.json signs")
	}
	signers, err := objectsOf(members, "signers")
	if err != nil {
		return err
	}
	for _, each := range signers {
		key, err := digitsOf(each, "key")
		if err != nil {
			return err
		}
		p.Signers = append(p.Signers, key)
	}
	if !contains(p.Signers, p.Signer) {
		return refuse(Policy, "the signer is not one of the signers")
	}
	return nil
}

func (p *SignedPolicy) readMembers(members object) error {
	var is bool
	if p.Revision, is = integerOf(members["revision"]); !is || p.Revision < 1 {
		return refuse(Malformed, "revision is an integer from 1 on")
	}
	var err error
	if p.FileKey, err = bytesOf(members, "file_key"); err != nil {
		return err
	}
	for _, read := range []func(object) error{p.readRecipients, p.readEndorsements, p.readLogs, p.readSlots} {
		if err := read(members); err != nil {
			return err
		}
	}
	return nil
}

func (p *SignedPolicy) readRecipients(members object) error {
	recipients, err := objectsOf(members, "recipients")
	if err != nil {
		return err
	}
	for _, each := range recipients {
		raw, err := bytesOf(each, "key")
		if err != nil {
			return err
		}
		kid, err := readRecipient(raw)
		if err != nil {
			return err
		}
		p.Kids = append(p.Kids, kid)
	}
	if len(p.Kids) == 0 {
		return refuse(Malformed, "at least one recipient was expected")
	}
	return nil
}

func (p *SignedPolicy) readEndorsements(members object) error {
	list, err := objectsOf(members, "endorsements")
	if err != nil {
		return err
	}
	for _, each := range list {
		key, err := digitsOf(each, "key")
		if err != nil {
			return err
		}
		by, err := digitsOf(each, "by")
		if err != nil {
			return err
		}
		signature, err := bytesOf(each, "signature")
		if err != nil {
			return err
		}
		p.Endorsements = append(p.Endorsements, Endorsement{key, by, signature})
	}
	return nil
}

func (p *SignedPolicy) readLogs(members object) error {
	logs, err := objectsOf(members, "logs")
	if err != nil {
		return err
	}
	for _, each := range logs {
		key, err := digitsOf(each, "key")
		if err != nil {
			return err
		}
		switch each["kind"] {
		case "vault":
			p.VaultLogs = append(p.VaultLogs, key)
		case "function":
			p.FunctionLogs = append(p.FunctionLogs, key)
		default:
			return refuse(Malformed, "the kind of a log is vault or function")
		}
	}
	return nil
}

func (p *SignedPolicy) readSlots(members object) error {
	list, err := objectsOf(members, "slots")
	if err != nil {
		return err
	}
	p.slotOf = map[uint32]*Slot{}
	lookups := map[string]bool{}
	for _, each := range list {
		slot, err := readSlot(each)
		if err != nil {
			return err
		}
		if p.slotOf[slot.Number] != nil || lookups[string(slot.Lookup)] {
			return refuse(Malformed, "two slots share a number or a lookup")
		}
		p.slotOf[slot.Number], lookups[string(slot.Lookup)] = slot, true
		p.Slots = append(p.Slots, slot)
	}
	return nil
}

func readSlot(members object) (*Slot, error) {
	number, is := integerOf(members["number"])
	if !is || number < 0 || number > 1<<32-1 {
		return nil, refuse(Malformed, "a slot's number has 32 bits")
	}
	slot := &Slot{Number: uint32(number)}
	var err error
	if slot.Lookup, err = digitsOf(members, "lookup"); err != nil {
		return nil, err
	}
	if members["wrap"] != nil {
		if slot.Wrap, err = bytesOf(members, "wrap"); err != nil {
			return nil, err
		}
		if len(slot.Wrap) != 60 {
			return nil, refuse(Malformed, "a wrap is 60 bytes")
		}
	}
	caveats, is := members["caveats"].(object)
	if !is {
		return nil, refuse(Malformed, "caveats are an object")
	}
	if slot.Caveats, err = readCaveats(caveats); err != nil {
		return nil, err
	}
	if slot.State, is = members["state"].(string); !is {
		return nil, refuse(Malformed, "a slot's state is a text")
	}
	slot.Rewrap, err = bytesOf(members, "rewrap")
	return slot, err
}

// reaches says whether key is one of trusted, or endorsed by one that is reached.
func (p *SignedPolicy) reaches(trusted [][]byte, key []byte) bool {
	reached := append([][]byte{}, trusted...)
	for isGrowing := true; isGrowing; {
		isGrowing = false
		for _, each := range p.Endorsements {
			if contains(reached, each.By) && !contains(reached, each.Key) &&
				holds(each.By, pae([]byte("signer/v1"), p.PodID, each.Key), each.Signature) {
				reached, isGrowing = append(reached, each.Key), true
			}
		}
	}
	return contains(reached, key)
}

// follows says whether p may be taken after last; false without error if it is the accepted one again.
func (p *SignedPolicy) follows(last *SignedPolicy) (bool, error) {
	switch {
	case bytes.Equal(p.Digest, last.Digest):
		return false, nil
	case !bytes.Equal(p.PodID, last.PodID):
		return false, refuse(Policy, "a policy of another pod")
	case p.Revision <= last.Revision:
		return false, refuse(Policy, "revision %d was accepted already", last.Revision)
	case !p.reaches(last.Signers, p.Signer):
		return false, refuse(Policy, "its signer was never endorsed")
	}
	return true, nil
}

// historySigners are those whose policies and statements count in the pod's history.
func (p *SignedPolicy) historySigners() [][]byte {
	known := append([][]byte{}, p.Signers...)
	for _, each := range p.Endorsements {
		known = append(known, each.By)
	}
	return known
}

func contains(list [][]byte, one []byte) bool {
	for _, each := range list {
		if bytes.Equal(each, one) {
			return true
		}
	}
	return false
}

func objectsOf(members object, name string) ([]object, error) {
	list, is := members[name].([]any)
	if !is {
		return nil, refuse(Malformed, "%s is missing, or no list", name)
	}
	found := []object{}
	for _, each := range list {
		one, is := each.(object)
		if !is {
			return nil, refuse(Malformed, "%s is a list of objects", name)
		}
		found = append(found, one)
	}
	return found, nil
}

func digitsOf(members object, name string) ([]byte, error) {
	text, is := members[name].(string)
	if !is || !lowerDigits.MatchString(text) {
		return nil, refuse(Malformed, "%s is 64 digits", name)
	}
	return hex.DecodeString(text)
}

func bytesOf(members object, name string) ([]byte, error) {
	text, is := members[name].(string)
	if !is {
		return nil, refuse(Malformed, "%s is base64", name)
	}
	return decodeBase64(text)
}
