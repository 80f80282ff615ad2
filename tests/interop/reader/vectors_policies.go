package main

// Vectors of policies and invites.

func init() {
	runners["policies/pod-toml"] = func(v Vector) (object, error) {
		config, err := readPodToml([]byte(v.text("pod_toml")))
		if err != nil {
			return nil, err
		}
		var most any
		if config.MaxItemBytes > 0 {
			most = config.MaxItemBytes
		}
		return object{"config": object{
			"name": config.Name, "url": config.URL, "policy": config.Policy,
			"properties": texts(config.Properties), "labels": texts(config.Labels), "max_item_bytes": most,
		}}, nil
	}
	runners["policies/pairs"] = func(v Vector) (object, error) {
		policy, err := verifyPolicy([]byte(v.text("pod_toml")), []byte(v.text("slots_json")), false)
		if err != nil {
			return nil, err
		}
		return object{"policy": summary(policy)}, nil
	}
	runners["policies/successors"] = func(v Vector) (object, error) {
		last, err := verifyPolicy([]byte(v.text("pod_toml")), []byte(v.text("last")), false)
		if err != nil {
			return nil, err
		}
		policy, err := verifyPolicy([]byte(v.text("pod_toml")), []byte(v.text("new")), false)
		if err != nil {
			return nil, err
		}
		isNew, err := policy.follows(last)
		return object{"is_new": isNew}, err
	}
	runners["invites"] = func(v Vector) (object, error) {
		invite, err := readInvite(v.text("link"))
		if err != nil {
			return nil, err
		}
		return object{"invite": invite.members(), "link_again": invite.format()}, nil
	}
}

func texts(found map[string]string) object {
	members := object{}
	for name, value := range found {
		members[name] = value
	}
	return members
}

func summary(p *SignedPolicy) object {
	open, closed := []any{}, []any{}
	for _, slot := range p.Slots {
		if slot.IsOpen() {
			open = append(open, int64(slot.Number))
		} else {
			closed = append(closed, int64(slot.Number))
		}
	}
	return object{
		"revision": p.Revision, "digest": toHex(p.Digest), "pod_id": toHex(p.PodID), "recipients": toHexes(p.Kids),
		"signer": toHex(p.Signer), "signers": toHexes(p.Signers), "vault_logs": toHexes(p.VaultLogs),
		"function_logs": toHexes(p.FunctionLogs), "open_slots": open, "closed_slots": closed,
	}
}

func (i *Invite) members() object {
	var expires, types any
	if i.Expires > 0 {
		expires = i.Expires
	}
	if i.Types != nil {
		types = i.Types
	}
	return object{
		"url": i.URL, "owner_key": toHex(i.OwnerKey), "database_key": toHex(i.DatabaseKey), "slot": int64(i.Slot),
		"log_keys": toHexes(i.VaultLogs), "function_keys": toHexes(i.Functions), "signer": toHex(i.Signer),
		"name": i.Name, "pod_name": i.PodName, "expires": expires, "types": types,
	}
}
