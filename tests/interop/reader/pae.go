package main

import (
	"encoding/binary"
	"regexp"
	"strings"
)

// FORMAT.md, "Encodings": pae and labels.

func le32(n uint32) []byte { return binary.LittleEndian.AppendUint32(nil, n) }
func le64(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n) }

// pae joins fields: their number, then each with its length.
func pae(fields ...[]byte) []byte {
	joined := le64(uint64(len(fields)))
	for _, field := range fields {
		joined = append(joined, le64(uint64(len(field)))...)
		joined = append(joined, field...)
	}
	return joined
}

// split is the inverse of pae, for any number of fields.
func split(joined []byte) ([][]byte, error) {
	if len(joined) < 8 {
		return nil, refuse(Malformed, "ends before its count")
	}
	count, rest := binary.LittleEndian.Uint64(joined), joined[8:]
	if count > uint64(len(rest)/8) {
		return nil, refuse(Malformed, "counts more fields than there are bytes")
	}
	fields := make([][]byte, 0, count)
	for range count {
		if len(rest) < 8 {
			return nil, refuse(Malformed, "ends before a length")
		}
		length := binary.LittleEndian.Uint64(rest)
		rest = rest[8:]
		if length > uint64(len(rest)) {
			return nil, refuse(Malformed, "ends inside a field")
		}
		fields, rest = append(fields, rest[:length]), rest[length:]
	}
	if len(rest) > 0 {
		return nil, refuse(Malformed, "bytes follow the last field")
	}
	return fields, nil
}

// splitN splits a list of exactly count fields.
func splitN(joined []byte, count int) ([][]byte, error) {
	fields, err := split(joined)
	if err != nil {
		return nil, err
	}
	if len(fields) != count {
		return nil, refuse(Malformed, "%d fields where %d were expected", len(fields), count)
	}
	return fields, nil
}

var number = regexp.MustCompile(`^[1-9][0-9]{0,8}$`)

// requireLabel says whether found is the label asked for; a later number of it is a later format.
func requireLabel(found []byte, label string) error {
	if string(found) == label {
		return nil
	}
	name := label[:strings.LastIndex(label, "/v")+2]
	if rest, is := strings.CutPrefix(string(found), name); is && number.MatchString(rest) {
		return refuse(FormatTooNew, "a %s, where %s was expected", found, label)
	}
	return refuse(Malformed, "a label other than %s", label)
}

// splitLabelled splits a list whose first field is a label, which counts before the number of fields.
func splitLabelled(joined []byte, label string, count int) ([][]byte, error) {
	fields, err := split(joined)
	if err != nil {
		return nil, err
	}
	first := []byte{}
	if len(fields) > 0 {
		first = fields[0]
	}
	if err := requireLabel(first, label); err != nil {
		return nil, err
	}
	if len(fields) != count {
		return nil, refuse(Malformed, "%d fields where %d were expected", len(fields), count)
	}
	return fields, nil
}
