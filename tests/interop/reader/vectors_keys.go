package main

// Vectors of encodings, keys and identity files.

func init() {
	runners["encodings/pae"] = func(v Vector) (object, error) {
		fields, err := split(v.bytes("joined"))
		if count, isAsked := integerOf(v.object["count"]); isAsked && err == nil {
			fields, err = splitN(v.bytes("joined"), int(count))
		}
		if err != nil {
			return nil, err
		}
		return object{"fields": toHexes(fields), "joined": toHex(pae(fields...))}, nil
	}
	runners["encodings/mp"] = func(v Vector) (object, error) {
		found, err := readMP(v.bytes("encoded"))
		if err != nil {
			return nil, err
		}
		return object{"map": found, "encoded": toHex(writeMP(found))}, nil
	}
	runners["encodings/labels"] = func(v Vector) (object, error) {
		return nil, requireLabel(v.bytes("found"), v.text("label"))
	}
	runners["keys/digits"] = func(v Vector) (object, error) {
		raw, err := parseDigits(v.text("digits"))
		return object{"raw": toHex(raw), "pod_id": toHex(podID(raw))}, err
	}
	runners["keys/database-keys"] = func(v Vector) (object, error) {
		derived := object{}
		for use := range v.object["derived"].(object) {
			derived[use] = toHex(derive(v.bytes("database_key"), v.bytes("pod_id"), use))
		}
		return object{"derived": derived}, nil
	}
	runners["keys/identities"] = func(v Vector) (object, error) {
		derived := object{}
		for use := range v.object["derived"].(object) {
			derived[use] = toHex(deriveIdentity(v.bytes("identity"), use))
		}
		found, err := newIdentity(v.bytes("identity"))
		if err != nil {
			return nil, err
		}
		return object{
			"derived": derived, "recipient": toHex(found.Recipient), "kid": toHex(found.Kid), "signer": toHex(found.Signer),
		}, nil
	}
	runners["keys/recipients"] = func(v Vector) (object, error) {
		kid, err := readRecipient(v.bytes("recipient"))
		return object{"kid": toHex(kid)}, err
	}
	runners["identities"] = func(v Vector) (object, error) {
		identity, err := readIdentity(v.text("content"), func() (string, error) { return v.text("passphrase"), nil })
		return object{"identity": toHex(identity)}, err
	}
}
