package main

import (
	"encoding/hex"
	"encoding/json"
	"os"

	"golang.org/x/mod/sumdb/tlog"
)

// A vector is an inclusion proof, or a consistency proof if it has a new size.
type vector struct {
	Index, Size int64
	Leaf, Root  string
	Path        []string
	Old, New    int64
	OldRoot     string `json:"old_root"`
	NewRoot     string `json:"new_root"`
}

func checkVector(name string) ([]int64, error) {
	content, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var v vector
	if err := json.Unmarshal(content, &v); err != nil {
		return nil, err
	}
	var path []byte
	for _, digits := range v.Path {
		hash, err := hex.DecodeString(digits)
		if err != nil {
			return nil, err
		}
		path = append(path, hash...)
	}
	hashes, err := split(path)
	if err != nil {
		return nil, err
	}
	if v.NewRoot != "" {
		return []int64{v.Old, v.New}, tlog.CheckTree(hashes, v.New, hashOf(v.NewRoot), v.Old, hashOf(v.OldRoot))
	}
	return []int64{v.Size}, tlog.CheckRecord(hashes, v.Size, hashOf(v.Root), v.Index, hashOf(v.Leaf))
}

// hashOf reads a hash of a vector, which never has a fault there but another value.
func hashOf(digits string) tlog.Hash {
	raw, err := hex.DecodeString(digits)
	if err != nil {
		panic(err)
	}
	return tlog.Hash(raw)
}
