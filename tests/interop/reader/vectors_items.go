package main

// Vectors of items, slots and views.

func init() {
	runners["items/items"] = runItem
	runners["items/canonical"] = func(v Vector) (object, error) {
		members, err := readCanonical(v.bytes("canonical"))
		if err != nil {
			return nil, err
		}
		return object{"members": members, "canonical": toHex(writeMP(members))}, nil
	}
	runners["items/names"] = func(v Vector) (object, error) {
		return object{"item_name": toHex(itemName(v.bytes("name_key"), v.text("id")))}, nil
	}
	runners["items/server-ids"] = func(v Vector) (object, error) {
		return object{"id": makeID(uint64(v.integer("ms")), v.bytes("random"))}, nil
	}
	runners["slots/caveats"] = func(v Vector) (object, error) {
		caveats, err := readCaveats(v.object["members"].(object))
		if err != nil || caveats == nil {
			return object{"is_open": false}, err
		}
		return object{"is_open": true, "encoded": toHex(writeMP(caveats))}, nil
	}
	runners["slots/wraps"] = func(v Vector) (object, error) {
		caveats, err := readCaveats(v.object["caveats"].(object))
		if err != nil {
			return nil, err
		}
		slot := Slot{Number: uint32(v.integer("number")), Wrap: v.bytes("wrap"), Caveats: caveats, State: v.text("state")}
		fileKey, err := slot.open(v.bytes("database_key"), v.bytes("pod_id"))
		lookup := derive(v.bytes("database_key"), v.bytes("pod_id"), "lookup")
		return object{"file_key": toHex(fileKey), "lookup": toHex(lookup)}, err
	}
	runners["slots/rewraps"] = func(v Vector) (object, error) {
		identity, err := newIdentity(v.bytes("identity"))
		if err != nil {
			return nil, err
		}
		found, err := identity.openRewrap(v.bytes("rewrap"), v.bytes("pod_id"), uint32(v.integer("number")))
		if err != nil {
			return nil, err
		}
		return object{
			"slot_name": found.Name, "wrap_key": toHex(found.WrapKey),
			"view_key": toHex(found.ViewKey), "name_key": toHex(found.NameKey),
		}, nil
	}
	runners["views"] = func(v Vector) (object, error) {
		own, err := openView(v.bytes("view"), v.bytes("view_key"), v.bytes("pod_id"), uint32(v.integer("slot")))
		return object{"own": own}, err
	}
}

func runItem(v Vector) (object, error) {
	payload, err := readJSON([]byte(v.text("payload")))
	if err != nil {
		return nil, err
	}
	members, err := takeIn(payload.(object), v.text("made_id"))
	if err != nil {
		return nil, err
	}
	id, canonical := members["id"].(string), writeMP(members)
	salt := itemSalt(derive(v.bytes("database_key"), v.bytes("pod_id"), "item"), id)
	return object{
		"members":   members,
		"canonical": toHex(canonical),
		"salt":      toHex(salt),
		"c":         toHex(commitment(salt, canonical)),
		"item_name": toHex(itemName(derive(v.bytes("database_key"), v.bytes("pod_id"), "name"), id)),
	}, nil
}
