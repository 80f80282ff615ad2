package main

import (
	"bytes"
	"encoding/binary"
)

// FORMAT.md, "Requests".

// Request is what a maintainer asks of a running server.
type Request struct {
	Verb       string
	Statements [][]byte // of erase
	Until      uint64   // of hold
}

// acceptRequest accepts a file of the name id for a pod whose accepted policy has signers.
func acceptRequest(content, podID, id []byte, signers [][]byte) (*Request, error) {
	parts, err := splitN(content, 3)
	if err != nil {
		return nil, err
	}
	fields, err := splitLabelled(parts[0], "request/v1", 5)
	switch {
	case err != nil:
		return nil, err
	case !bytes.Equal(fields[1], podID):
		return nil, refuse(ForeignPod, "a request for another pod")
	case !bytes.Equal(fields[2], id):
		return nil, refuse(Damaged, "a request under another name than its id")
	case !contains(signers, parts[1]) || !holds(parts[1], parts[0], parts[2]):
		return nil, refuse(Damaged, "a request that no maintainer of the pod signed")
	}
	request := &Request{Verb: string(fields[3])}
	switch request.Verb {
	case "erase":
		request.Statements, err = split(fields[4])
		return request, err
	case "hold":
		if len(fields[4]) != 8 {
			return nil, refuse(Malformed, "a time is 8 bytes")
		}
		request.Until = binary.LittleEndian.Uint64(fields[4])
		return request, nil
	}
	return nil, refuse(Malformed, "a request's verb is erase or hold")
}

func (r *Request) members() object {
	if r.Verb == "hold" {
		return object{"verb": r.Verb, "until": r.Until}
	}
	return object{"verb": r.Verb, "statements": toHexes(r.Statements)}
}

func init() {
	runners["requests"] = func(v Vector) (object, error) {
		request, err := acceptRequest(v.bytes("request"), v.bytes("pod_id"), v.bytes("id"), v.list("signers"))
		if err != nil {
			return nil, err
		}
		return object{"asks": request.members()}, nil
	}
}
