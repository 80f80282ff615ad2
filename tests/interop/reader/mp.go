package main

import (
	"encoding/binary"
	"math"
	"slices"
	"unicode/utf8"
)

// FORMAT.md, "Encodings": MP, MessagePack of one flat map with one form a value.
//
// A value is string, int64, uint64 (beyond int64 only), float64, bool or []any of those.

type mpMap map[string]any

// readMP reads exactly one map.
func readMP(encoded []byte) (mpMap, error) {
	in := &mpInput{rest: encoded}
	count, err := in.head(0x80, 0x0f, 0, 0xde, 0xdf)
	if err != nil {
		return nil, err
	}
	if count > len(in.rest) {
		return nil, refuse(Malformed, "MP: a map of more members than there are bytes")
	}
	found, last := mpMap{}, ""
	for i := range count {
		key, err := in.text()
		if err != nil {
			return nil, err
		}
		if i > 0 && key <= last {
			return nil, refuse(Malformed, "MP: keys are not sorted")
		}
		if found[key], err = in.value(true); err != nil {
			return nil, err
		}
		last = key
	}
	if len(in.rest) > 0 {
		return nil, refuse(Malformed, "MP: bytes follow the map")
	}
	return found, nil
}

type mpInput struct{ rest []byte }

func (in *mpInput) take(count int) ([]byte, error) {
	if count > len(in.rest) {
		return nil, refuse(Malformed, "MP: it is cut")
	}
	taken := in.rest[:count]
	in.rest = in.rest[count:]
	return taken, nil
}

func (in *mpInput) big(size int) (uint64, error) {
	raw, err := in.take(size)
	if err != nil {
		return 0, err
	}
	var padded [8]byte
	copy(padded[8-size:], raw)
	return binary.BigEndian.Uint64(padded[:]), nil
}

// head reads the type and length of a map, list or text: fixed, with 1 byte (0: none), with 2, with 4.
func (in *mpInput) head(fixed, mask, one, two, four byte) (int, error) {
	first, err := in.take(1)
	if err != nil {
		return 0, err
	}
	size, least := 0, uint64(0)
	switch b := first[0]; {
	case b&^mask == fixed:
		return int(b & mask), nil
	case one != 0 && b == one:
		size, least = 1, uint64(mask)+1
	case b == two:
		size, least = 2, uint64(mask)+1
		if one != 0 {
			least = 1 << 8
		}
	case b == four:
		size, least = 4, 1<<16
	default:
		return 0, refuse(Malformed, "MP: a value of another type")
	}
	length, err := in.big(size)
	if err != nil {
		return 0, err
	}
	if length < least {
		return 0, refuse(Malformed, "MP: not the shortest form")
	}
	return int(length), nil
}

func (in *mpInput) text() (string, error) {
	length, err := in.head(0xa0, 0x1f, 0xd9, 0xda, 0xdb)
	if err != nil {
		return "", err
	}
	raw, err := in.take(length)
	if err != nil {
		return "", err
	}
	if !utf8.Valid(raw) {
		return "", refuse(Malformed, "MP: text that is not UTF-8")
	}
	return string(raw), nil
}

func (in *mpInput) value(isListAllowed bool) (any, error) {
	if len(in.rest) == 0 {
		return nil, refuse(Malformed, "MP: it is cut")
	}
	switch b := in.rest[0]; {
	case b <= 0x7f || b >= 0xe0 || b >= 0xcc && b <= 0xd3:
		return in.integer()
	case b == 0xcb:
		in.rest = in.rest[1:]
		bits, err := in.big(8)
		return math.Float64frombits(bits), err
	case b == 0xc2 || b == 0xc3:
		in.rest = in.rest[1:]
		return b == 0xc3, nil
	case isListAllowed && (b&0xf0 == 0x90 || b == 0xdc || b == 0xdd):
		return in.list()
	}
	return in.text()
}

func (in *mpInput) integer() (any, error) {
	first, _ := in.take(1)
	b := first[0]
	if b <= 0x7f || b >= 0xe0 {
		return int64(int8(b)), nil
	}
	size := 1 << ((b - 0xcc) & 3)
	raw, err := in.big(size)
	if err != nil {
		return nil, err
	}
	if b <= 0xcf {
		least := uint64(1) << (4 * size)
		if size == 1 {
			least = 0x80
		}
		if raw < least {
			return nil, refuse(Malformed, "MP: not the shortest form")
		}
		if raw > math.MaxInt64 {
			return raw, nil
		}
		return int64(raw), nil
	}
	shift := 64 - 8*size
	signed := int64(raw<<shift) >> shift
	most := int64(-1) << (4*size - 1)
	if size == 1 {
		most = -32
	}
	if size == 1 && signed >= most || size > 1 && signed >= most {
		return nil, refuse(Malformed, "MP: not the shortest form")
	}
	return signed, nil
}

func (in *mpInput) list() (any, error) {
	count, err := in.head(0x90, 0x0f, 0, 0xdc, 0xdd)
	if err != nil {
		return nil, err
	}
	if count > len(in.rest) {
		return nil, refuse(Malformed, "MP: a list of more values than there are bytes")
	}
	list := make([]any, 0, count)
	for range count {
		each, err := in.value(false)
		if err != nil {
			return nil, err
		}
		list = append(list, each)
	}
	return list, nil
}

// writeMP is the inverse of readMP.
func writeMP(members mpMap) []byte {
	out := putHead(nil, len(members), 0x80, 0x0f, 0, 0xde, 0xdf)
	for _, key := range sortedKeys(members) {
		out = putValue(putText(out, key), members[key])
	}
	return out
}

func sortedKeys[V any](members map[string]V) []string {
	keys := make([]string, 0, len(members))
	for key := range members {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func putHead(out []byte, length int, fixed, mask, one, two, four byte) []byte {
	switch {
	case length <= int(mask):
		return append(out, fixed|byte(length))
	case one != 0 && length < 1<<8:
		return append(out, one, byte(length))
	case length < 1<<16:
		return binary.BigEndian.AppendUint16(append(out, two), uint16(length))
	}
	return binary.BigEndian.AppendUint32(append(out, four), uint32(length))
}

func putText(out []byte, text string) []byte {
	return append(putHead(out, len(text), 0xa0, 0x1f, 0xd9, 0xda, 0xdb), text...)
}

func putValue(out []byte, value any) []byte {
	switch v := value.(type) {
	case string:
		return putText(out, v)
	case bool:
		if v {
			return append(out, 0xc3)
		}
		return append(out, 0xc2)
	case float64:
		return binary.BigEndian.AppendUint64(append(out, 0xcb), math.Float64bits(v))
	case uint64:
		return putUint(out, v)
	case int64:
		if v >= 0 {
			return putUint(out, uint64(v))
		}
		return putNegative(out, v)
	}
	list := value.([]any)
	out = putHead(out, len(list), 0x90, 0x0f, 0, 0xdc, 0xdd)
	for _, each := range list {
		out = putValue(out, each)
	}
	return out
}

func putUint(out []byte, n uint64) []byte {
	switch {
	case n < 0x80:
		return append(out, byte(n))
	case n < 1<<8:
		return append(out, 0xcc, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(out, 0xcd), uint16(n))
	case n < 1<<32:
		return binary.BigEndian.AppendUint32(append(out, 0xce), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(out, 0xcf), n)
}

func putNegative(out []byte, n int64) []byte {
	switch {
	case n >= -32:
		return append(out, byte(n))
	case n >= math.MinInt8:
		return append(out, 0xd0, byte(n))
	case n >= math.MinInt16:
		return binary.BigEndian.AppendUint16(append(out, 0xd1), uint16(n))
	case n >= math.MinInt32:
		return binary.BigEndian.AppendUint32(append(out, 0xd2), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(out, 0xd3), uint64(n))
}
