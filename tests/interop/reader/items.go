package main

import (
	"encoding/hex"
	"encoding/json"
	"math"
	"regexp"
	"strings"
)

// FORMAT.md, "Items", and what a client may send ("The wire").

var (
	typePattern = regexp.MustCompile(`\A[A-Za-z][A-Za-z0-9_]{0,63}\z`)
	idPattern   = regexp.MustCompile(`\A[a-zA-Z0-9_-]{6,36}\z`)
	hyphenated  = regexp.MustCompile(`\A[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}\z`)
)

const maxMembers = 512

// readCanonical reads what was sealed: exactly what an item can be.
func readCanonical(canonical []byte) (mpMap, error) {
	members, err := readMP(canonical)
	if err != nil {
		return nil, err
	}
	itemType, isText := members["type"].(string)
	if !isText || !typePattern.MatchString(itemType) {
		return nil, refuse(Malformed, "an item of no type")
	}
	if id, isText := members["id"].(string); !isText || !idPattern.MatchString(id) {
		return nil, refuse(Malformed, "an item without id")
	}
	for name, value := range members {
		if !typePattern.MatchString(name) || name == "rowid" || name == "dateServerModified" || !isStored(name, value) {
			return nil, refuse(Malformed, "a member that no item has")
		}
	}
	return members, nil
}

func isStored(name string, value any) bool {
	switch v := value.(type) {
	case int64:
		return name != "deleted"
	case bool:
		return name != "dateCreated" && name != "dateModified" && (name != "deleted" || v)
	case string:
		return name != "dateCreated" && name != "dateModified" && name != "deleted"
	case float64:
		isOwn := name == "dateCreated" || name == "dateModified" || name == "deleted"
		return !isOwn && !math.IsNaN(v) && !math.IsInf(v, 0) && !isInteger(v)
	}
	return false
}

// takeIn makes the canonical members of a payload; serverID is used if it has none.
func takeIn(payload object, serverID string) (mpMap, error) {
	if len(payload) > maxMembers {
		return nil, refuse(Item, "payload: more than 512 members")
	}
	itemType, isText := payload["type"].(string)
	if !isText || !typePattern.MatchString(itemType) {
		return nil, refuse(Item, "type: text of 1 to 64 letters, digits and underscores")
	}
	members := mpMap{"type": itemType, "id": serverID}
	for name, value := range payload {
		stored, err := takeMember(name, value)
		if err != nil {
			return nil, err
		}
		if stored != nil {
			members[name] = stored
		}
	}
	return members, nil
}

// takeMember returns what is stored of one member: nil if nothing is.
func takeMember(name string, value any) (any, error) {
	switch name {
	case "id":
		id, isText := value.(string)
		if value != nil && (!isText || !idPattern.MatchString(id)) {
			return nil, refuse(Item, "id: 6 to 36 letters, digits, underscores and hyphens")
		}
		return value, nil
	case "rowid", "dateCreated", "dateModified":
		n, is := integerOf(value)
		if value == nil || is && name == "rowid" {
			return nil, nil
		}
		if !is {
			return nil, refuse(Item, "%s: an integer", name)
		}
		return n, nil
	case "deleted":
		isDeleted, is := value.(bool)
		if !is {
			return nil, refuse(Item, "deleted: a boolean")
		}
		if !isDeleted {
			return nil, nil
		}
		return true, nil
	case "dateServerModified":
		return nil, nil
	}
	if !typePattern.MatchString(name) {
		return nil, refuse(Item, "a member's name is no name of a property")
	}
	if literal, isNumber := value.(json.Number); isNumber {
		number := oneForm(literal)
		if number == nil {
			return nil, refuse(Item, "%s: no finite number", name)
		}
		return number, nil
	}
	return value, nil
}

func itemSalt(itemKey []byte, id string) []byte { return mac(itemKey, []byte(id)) }

func commitment(salt, canonical []byte) []byte { return mac(salt, canonical) }

// itemName stands for the id in the vault: 22 bytes, which show the time of a UUIDv7.
func itemName(nameKey []byte, id string) []byte {
	return append(timeOf(id), mac(nameKey, []byte(id))[:16]...)
}

func timeOf(id string) []byte {
	none := make([]byte, 6)
	digits := id
	if hyphenated.MatchString(id) {
		digits = strings.ReplaceAll(id, "-", "")
	}
	raw, err := hex.DecodeString(digits)
	if err != nil || len(digits) != 32 || raw[6]>>4 != 7 || raw[8]>>6 != 2 {
		return none
	}
	var ms uint64
	for _, each := range raw[:6] {
		ms = ms<<8 | uint64(each)
	}
	if ms < 0x016f5e66e800 || ms >= 0x03bb2cc3d800 {
		return none
	}
	return raw[:6:6]
}

// makeID makes a UUIDv7 of 32 digits.
func makeID(ms uint64, random []byte) string {
	var high uint64 // the upper 16 of 80 bits
	var low uint64  // the lower 64
	for _, each := range random[:2] {
		high = high<<8 | uint64(each)
	}
	for _, each := range random[2:] {
		low = low<<8 | uint64(each)
	}
	first := ms<<16 | 7<<12 | low&0xfff
	second := 2<<62 | (low>>12|high<<52)&(1<<62-1)
	return hex.EncodeToString(appendBE(appendBE(nil, first), second))
}

func appendBE(out []byte, n uint64) []byte {
	for shift := 56; shift >= 0; shift -= 8 {
		out = append(out, byte(n>>shift))
	}
	return out
}
