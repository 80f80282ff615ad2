package main

import (
	"encoding/base64"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// FORMAT.md, "Invite".

// Invite is what a link says.
type Invite struct {
	URL                   string
	OwnerKey, DatabaseKey []byte
	Slot                  uint32
	VaultLogs, Functions  [][]byte
	Signer                []byte
	Name, PodName         string
	Expires               int64 // 0: never
	Types                 []any // nil: all
}

var mark = regexp.MustCompile(`#sp([0-9]+)\.`)

const maxLinkCharacters = 16384

func readInvite(link string) (*Invite, error) {
	if utf8.RuneCountInString(link) > maxLinkCharacters {
		return nil, refuse(Malformed, "a link has at most 16384 characters")
	}
	link = strings.TrimSpace(link)
	at := mark.FindStringSubmatchIndex(link)
	if at == nil {
		return nil, refuse(Malformed, "a link with #sp1. was expected")
	}
	if version := link[at[2]:at[3]]; version != "1" {
		return nil, refuse(FormatTooNew, "a link of a later format")
	}
	raw, err := decodeBase64URL(link[at[1]:])
	if err != nil {
		return nil, err
	}
	fields, err := splitLabelled(raw, "invite/v1", 8)
	if err != nil {
		return nil, err
	}
	url, err := readURL(strings.TrimRight(link[:at[0]], "/"))
	if err != nil {
		return nil, err
	}
	invite := &Invite{URL: url, OwnerKey: fields[1], DatabaseKey: fields[2], Signer: fields[6]}
	for _, key := range [][]byte{invite.OwnerKey, invite.DatabaseKey, invite.Signer} {
		if len(key) != 32 {
			return nil, refuse(Malformed, "a key in a link is 32 bytes")
		}
	}
	if invite.Slot, err = readLE32(fields[3]); err != nil {
		return nil, err
	}
	if invite.VaultLogs, err = splitKeys(fields[4]); err != nil {
		return nil, err
	}
	if invite.Functions, err = splitKeys(fields[5]); err != nil {
		return nil, err
	}
	return invite, invite.readFacts(fields[7])
}

func splitKeys(joined []byte) ([][]byte, error) {
	keys, err := split(joined)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		if len(key) != 32 {
			return nil, refuse(Malformed, "a key in a link is 32 bytes")
		}
	}
	return keys, nil
}

func (i *Invite) readFacts(encoded []byte) error {
	facts, err := readMP(encoded)
	if err != nil {
		return err
	}
	var is bool
	if i.Name, is = facts["name"].(string); !is || !inviteName.MatchString(i.Name) {
		return refuse(Malformed, "a link without the invite's name")
	}
	if i.PodName, is = facts["pod"].(string); !is || utf8.RuneCountInString(i.PodName) > 200 {
		return refuse(Malformed, "a link without the pod's name")
	}
	if value, isThere := facts["expires"]; isThere {
		if i.Expires, is = value.(int64); !is || i.Expires < 1 {
			return refuse(Malformed, "expires is an integer from 1 on")
		}
	}
	if value, isThere := facts["types"]; isThere {
		if i.Types, is = value.([]any); !is || !isListOfTypes(i.Types) {
			return refuse(Malformed, "types is a sorted list of 1 to 256 types")
		}
	}
	return nil
}

// format writes the link again, without facts it does not know.
func (i *Invite) format() string {
	facts := mpMap{"name": i.Name, "pod": i.PodName}
	if i.Expires > 0 {
		facts["expires"] = i.Expires
	}
	if i.Types != nil {
		facts["types"] = slices.Clone(i.Types)
	}
	raw := pae([]byte("invite/v1"), i.OwnerKey, i.DatabaseKey, le32(i.Slot), pae(i.VaultLogs...),
		pae(i.Functions...), i.Signer, writeMP(facts))
	return i.URL + "/#sp1." + base64.RawURLEncoding.EncodeToString(raw)
}
