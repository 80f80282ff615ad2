package main

import (
	"bytes"
	"strings"
)

// Vectors of batches, statements, trees, checkpoints and receipts.

func init() {
	runners["headers"] = runHeader
	runners["headers/item-leaves"] = func(v Vector) (object, error) {
		leaf := itemLeaf(v.bytes("pod_id"), v.bytes("uid"), uint32(v.integer("index")), v.bytes("c"), v.bytes("digest"))
		return object{"leaf": toHex(leaf)}, nil
	}
	runners["headers/log-leaves"] = func(v Vector) (object, error) {
		return object{"leaf": toHex(leafHash(v.bytes("packed")))}, nil
	}
	runners["sealing"] = runSealing
	runners["erasures"] = func(v Vector) (object, error) {
		header, err := readHeader(v.bytes("header"))
		if err != nil {
			return nil, err
		}
		ms, err := verifyErasure(v.bytes("statement"), header, uint32(v.integer("index")), v.bytes("digest"), v.list("signers"))
		return object{"ms": ms}, err
	}
	runners["tree/roots"] = func(v Vector) (object, error) {
		leaves := [][]byte{}
		for _, data := range v.list("leaves") {
			leaves = append(leaves, leafHash(data))
		}
		return object{"root": toHex(rootOf(leaves))}, nil
	}
	runners["tree/large-roots"] = func(v Vector) (object, error) {
		leaves := [][]byte{}
		for i := range v.integer("size") {
			leaves = append(leaves, leafHash([]byte{byte(i), byte(i >> 8)}))
		}
		return object{"root": toHex(rootOf(leaves))}, nil
	}
	runners["tree/inclusion"] = func(v Vector) (object, error) {
		root, err := climb(uint64(v.integer("index")), uint64(v.integer("size")), v.bytes("leaf"), v.list("path"))
		if err == nil && !bytes.Equal(root, v.bytes("root")) {
			err = refuse(Damaged, "the path leads to another root")
		}
		return nil, err
	}
	runners["tree/consistency"] = func(v Vector) (object, error) {
		if v.integer("old") < 0 || v.integer("new") < 0 {
			return nil, refuse(Malformed, "a size below 0")
		}
		return nil, verifyConsistency(
			uint64(v.integer("old")), uint64(v.integer("new")), v.bytes("old_root"), v.bytes("new_root"), v.list("path"))
	}
	runners["checkpoints"] = func(v Vector) (object, error) {
		found, err := acceptCheckpoint(noteOf(v), v.text("origin"), v.list("log_keys"))
		if err != nil {
			return nil, err
		}
		return object{"checkpoint": object{"origin": found.Origin, "size": found.Size, "root": toHex(found.Root)}}, nil
	}
	runners["receipts"] = runReceipt
	runners["promises"] = runPromise
	runners["segments/read"] = func(v Vector) (object, error) {
		segment, err := readSegment(v.bytes("content"), v.bytes("file_key"))
		if err != nil {
			return nil, err
		}
		return object{"rows": segment.members()}, nil
	}
	runners["segments/verify"] = runVerifySegment
	runners["objects/keys"] = func(v Vector) (object, error) {
		name, err := readObjectKey(v.text("key"), v.bytes("pod_id"))
		return object{"item_name": toHex(name)}, err
	}
	runners["objects/tags"] = func(v Vector) (object, error) {
		tags := map[string]string{}
		for name, value := range v.object["tags"].(object) {
			tags[name] = value.(string)
		}
		promise, err := readTags(tags)
		return object{"promise": promise}, err
	}
}

func runPromise(v Vector) (object, error) {
	promise, err := readPromise(v.text("promise"))
	if err != nil {
		return nil, err
	}
	h, err := promise.verify(v.bytes("pod_id"), v.list("function_keys"), v.bytes("c"))
	if err != nil {
		return nil, err
	}
	return object{"proves": object{
		"ms": h.MS, "c": toHex(promise.C), "digest": toHex(promise.Digest), "index": int64(promise.I), "uid": toHex(h.UID),
	}}, nil
}

func (s *Segment) members() object {
	items := []any{}
	for _, item := range s.Items {
		items = append(items, object{
			"name": toHex(item.Name), "c": toHex(item.C), "digest": toHex(item.Digest), "sealed": toHex(item.Sealed),
		})
	}
	return object{
		"uid": toHex(s.UID), "header": toHex(s.Header), "wraps": toHex(s.Wraps), "signature": toHex(s.Signature), "items": items,
	}
}

func runVerifySegment(v Vector) (object, error) {
	policy, err := verifyPolicy([]byte(v.text("pod_toml")), []byte(v.text("slots_json")), false)
	if err != nil {
		return nil, err
	}
	rows := v.object["rows"].(object)
	segment := &Segment{
		UID: fromHex(rows["uid"]), Header: fromHex(rows["header"]), Wraps: fromHex(rows["wraps"]), Signature: fromHex(rows["signature"]),
	}
	for _, each := range rows["items"].([]any) {
		item := each.(object)
		segment.Items = append(segment.Items, SegmentItem{
			fromHex(item["name"]), fromHex(item["c"]), fromHex(item["digest"]), fromHex(item["sealed"]),
		})
	}
	header, err := segment.verify(policy)
	if err != nil {
		return nil, err
	}
	return object{"ms": header.MS}, nil
}

func runHeader(v Vector) (object, error) {
	h, err := readHeader(v.bytes("packed"))
	if err != nil {
		return nil, err
	}
	return object{"fields": object{
		"pod_id": toHex(h.PodID), "uid": toHex(h.UID), "log_key_hash": toHex(h.LogKeyHash), "ms": h.MS,
		"count": int64(h.Count), "item_root": toHex(h.ItemRoot), "commit": toHex(h.Commit),
		"wraps_hash": toHex(h.WrapsHash), "policy": toHex(h.Policy),
	}}, nil
}

func runSealing(v Vector) (object, error) {
	identity, err := newIdentity(v.bytes("identity"))
	if err != nil {
		return nil, err
	}
	header, err := readHeader(v.bytes("header"))
	if err != nil {
		return nil, err
	}
	later := map[string][]byte{}
	for kid, wrap := range v.object["rewrap"].(object) {
		later[string(fromHex(kid))] = fromHex(wrap)
	}
	batch, err := identity.openBatch(header, v.bytes("wraps"), later)
	if err != nil {
		return nil, err
	}
	items := []any{}
	for i, sealed := range v.list("sealed") {
		if sealed == nil {
			continue
		}
		item, err := batch.open(uint32(i), sealed)
		if err != nil {
			return nil, err
		}
		items = append(items, object{
			"index": i, "canonical": toHex(item.Canonical), "slot": int64(item.Slot), "salt": toHex(item.Salt),
			"c": toHex(commitment(item.Salt, item.Canonical)),
		})
	}
	return object{"items": items}, nil
}

func noteOf(v Vector) []byte {
	if repeat, is := v.object["note_repeat"].(object); is {
		times, _ := integerOf(repeat["times"])
		return []byte(repeat["prefix"].(string) + strings.Repeat(repeat["line"].(string), int(times)))
	}
	if raw := v.bytes("note_hex"); raw != nil {
		return raw
	}
	return []byte(v.text("note"))
}

// runReceipt tells reading from checking, where the vector says which of them refuses.
func runReceipt(v Vector) (object, error) {
	receipt, err := readReceipt(v.text("receipt"))
	if (err != nil) != (v.text("at") == "decode") {
		return nil, refuse(notOurs, "read: %v, where the vector is refused at %q", err, v.text("at"))
	}
	if err != nil {
		return nil, err
	}
	proven, err := receipt.verify(Trust{
		PodID: v.bytes("pod_id"), VaultLogs: v.list("log_keys"), Functions: v.list("function_keys"),
		C: v.bytes("c"), Epoch: uint64(v.integer("epoch")),
	})
	if err != nil {
		return nil, err
	}
	return object{"proves": proven.members()}, nil
}
