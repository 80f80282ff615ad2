package main

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// JSON (RFC 8259) whose numbers keep their literals and whose objects name no member twice.

type object = map[string]any

var integerLiteral = regexp.MustCompile(`^-?[0-9]+$`)

// readJSON reads one value: object, []any, json.Number, string, bool or nil.
func readJSON(text []byte) (any, error) {
	if !utf8.Valid(text) {
		return nil, refuse(Malformed, "JSON that is not UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	value, err := readJSONValue(decoder)
	if err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, refuse(Malformed, "something follows the JSON value")
	}
	return value, nil
}

func readJSONValue(decoder *json.Decoder) (any, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, refuse(Malformed, "no JSON: %v", err)
	}
	switch token {
	case json.Delim('{'):
		return readJSONObject(decoder)
	case json.Delim('['):
		list := []any{}
		for decoder.More() {
			each, err := readJSONValue(decoder)
			if err != nil {
				return nil, err
			}
			list = append(list, each)
		}
		return list, closeJSON(decoder)
	}
	return token, nil
}

func readJSONObject(decoder *json.Decoder) (any, error) {
	found := object{}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, refuse(Malformed, "no JSON: %v", err)
		}
		if _, isTwice := found[name.(string)]; isTwice {
			return nil, refuse(Malformed, "a member appears twice")
		}
		if found[name.(string)], err = readJSONValue(decoder); err != nil {
			return nil, err
		}
	}
	return found, closeJSON(decoder)
}

func closeJSON(decoder *json.Decoder) error {
	if _, err := decoder.Token(); err != nil {
		return refuse(Malformed, "no JSON: %v", err)
	}
	return nil
}

// integerOf returns the value of a literal -?digits within int64.
func integerOf(value any) (int64, bool) {
	literal, is := value.(json.Number)
	if !is || !integerLiteral.MatchString(string(literal)) {
		return 0, false
	}
	n, err := strconv.ParseInt(string(literal), 10, 64)
	return n, err == nil
}

// oneForm is the one form of a JSON number (FORMAT.md, "Items"): int64, or a float64 that is no int64; nil if
// no finite float64 is near.
func oneForm(literal json.Number) any {
	if n, is := integerOf(literal); is {
		return n
	}
	f, err := strconv.ParseFloat(string(literal), 64)
	if err != nil {
		return nil
	}
	if isInteger(f) {
		return int64(f)
	}
	return f
}

// isInteger says whether a float64 has the value of an int64.
func isInteger(f float64) bool {
	return f == math.Trunc(f) && f >= -(1<<63) && f < 1<<63
}

// writeJSON writes a value on one line, members sorted; a float64 always shows that it is one.
func writeJSON(value any) string {
	var out strings.Builder
	putJSON(&out, value)
	return out.String()
}

func putJSON(out *strings.Builder, value any) {
	switch v := value.(type) {
	case nil:
		out.WriteString("null")
	case bool:
		out.WriteString(strconv.FormatBool(v))
	case int:
		out.WriteString(strconv.Itoa(v))
	case int64:
		out.WriteString(strconv.FormatInt(v, 10))
	case uint64:
		out.WriteString(strconv.FormatUint(v, 10))
	case float64:
		out.WriteString(floatLiteral(v))
	case json.Number:
		out.WriteString(numberLiteral(v))
	case string:
		putJSONText(out, v)
	case []any:
		putJSONList(out, v)
	case []string:
		list := []any{}
		for _, each := range v {
			list = append(list, each)
		}
		putJSONList(out, list)
	case mpMap:
		putJSONObject(out, v)
	case object:
		putJSONObject(out, v)
	default:
		panic("no JSON value")
	}
}

func putJSONList(out *strings.Builder, list []any) {
	for i, each := range list {
		out.WriteByte("[,"[min(i, 1)])
		putJSON(out, each)
	}
	if len(list) == 0 {
		out.WriteByte('[')
	}
	out.WriteByte(']')
}

func putJSONObject(out *strings.Builder, members map[string]any) {
	out.WriteByte('{')
	for i, name := range sortedKeys(members) {
		if i > 0 {
			out.WriteByte(',')
		}
		putJSONText(out, name)
		out.WriteByte(':')
		putJSON(out, members[name])
	}
	out.WriteByte('}')
}

func putJSONText(out *strings.Builder, text string) {
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(text); err != nil {
		panic(err)
	}
	out.Write(bytes.TrimRight(line.Bytes(), "\n"))
}

func floatLiteral(f float64) string {
	literal := strconv.FormatFloat(f, 'g', -1, 64)
	if strings.ContainsAny(literal, ".e") {
		return literal
	}
	return literal + ".0"
}

// numberLiteral writes a number that JSON gave as this program writes its own: integers stay, the rest are float64.
func numberLiteral(literal json.Number) string {
	if integerLiteral.MatchString(string(literal)) {
		return string(literal)
	}
	f, err := strconv.ParseFloat(string(literal), 64)
	if err != nil {
		return string(literal)
	}
	return floatLiteral(f)
}
