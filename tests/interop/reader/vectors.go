package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// FORMAT.md, "Golden vectors": a vector is run, and what reading gave is compared with what the vector says.

// Vector is one file of testdata.
type Vector struct {
	object
	folder string // of testdata
}

// runners read a vector of each folder, and return what its members of the same names must be.
var runners = map[string]func(Vector) (object, error){}

// runVectors runs every vector below a folder and returns, by path, what is wrong with those that failed.
func runVectors(testdata string) (int, map[string]string, error) {
	count, failures := 0, map[string]string{}
	err := filepath.WalkDir(testdata, func(path string, entry fs.DirEntry, err error) error {
		verb, _, _ := strings.Cut(filepath.Base(path), "-")
		if err != nil || entry.IsDir() || verb != "accept" && verb != "refuse" && verb != "find" {
			return err
		}
		name, err := filepath.Rel(testdata, path)
		if err != nil {
			return err
		}
		count++
		if wrong := runVector(testdata, filepath.ToSlash(name)); wrong != "" {
			failures[filepath.ToSlash(name)] = wrong
		}
		return nil
	})
	return count, failures, err
}

// runVector returns what is wrong; nothing, if all is as the vector says.
func runVector(testdata, name string) string {
	text, err := os.ReadFile(filepath.Join(testdata, filepath.FromSlash(name)))
	if err != nil {
		return err.Error()
	}
	value, err := readJSON(text)
	if err != nil {
		return err.Error()
	}
	vector := Vector{value.(object), testdata}
	run, is := runners[filepath.ToSlash(filepath.Dir(name))]
	if !is {
		return "this reader knows no vectors of this folder"
	}
	found, err := run(vector)
	if kind, isRefused := vector.object["error"]; isRefused {
		if err == nil {
			return fmt.Sprintf("accepted, where %s was expected", kind)
		}
		if string(kindOf(err)) != kind {
			return fmt.Sprintf("%v, where %s was expected", err, kind)
		}
		return ""
	}
	if err != nil {
		return err.Error()
	}
	for member, is := range found {
		if got, wanted := writeJSON(is), writeJSON(vector.object[member]); got != wanted {
			return fmt.Sprintf("%s is %s, where %s was expected", member, got, wanted)
		}
	}
	return ""
}

// text returns a member that is a text; empty if it is null or not there.
func (v Vector) text(member string) string {
	found, _ := v.object[member].(string)
	return found
}

// bytes returns a member of hexadecimal digits; nil if it is null or not there.
func (v Vector) bytes(member string) []byte { return fromHex(v.object[member]) }

func (v Vector) integer(member string) int64 {
	found, _ := integerOf(v.object[member])
	return found
}

func (v Vector) list(member string) [][]byte {
	found := [][]byte{}
	list, _ := v.object[member].([]any)
	for _, each := range list {
		found = append(found, fromHex(each))
	}
	return found
}

func fromHex(value any) []byte {
	digits, is := value.(string)
	if !is {
		return nil
	}
	raw, err := hex.DecodeString(digits)
	if err != nil {
		panic("a vector holds " + digits)
	}
	return raw
}

func toHex(raw []byte) any { return hex.EncodeToString(raw) }

func toHexes(list [][]byte) any {
	found := []any{}
	for _, each := range list {
		found = append(found, toHex(each))
	}
	return found
}

// fromJSON turns numbers into the values that MP and canonical items hold.
func fromJSON(value any) any {
	switch v := value.(type) {
	case json.Number:
		if integerLiteral.MatchString(string(v)) {
			if n, is := integerOf(v); is {
				return n
			}
			var n uint64
			if _, err := fmt.Sscan(string(v), &n); err == nil {
				return n
			}
		}
		f, err := v.Float64()
		if err != nil {
			panic("a vector holds " + string(v))
		}
		return f
	case []any:
		list := []any{}
		for _, each := range v {
			list = append(list, fromJSON(each))
		}
		return list
	case object:
		members := mpMap{}
		for name, each := range v {
			members[name] = fromJSON(each)
		}
		return members
	}
	return value
}
