package main

import (
	"os"
	"path/filepath"
	"strings"
)

// Vectors of whole pod folders.

func init() {
	runners["schema"] = func(v Vector) (object, error) {
		rows, err := readJSON(schemaJSON)
		return object{"rows": rows}, err
	}
	runners["vaults/read"] = inFolder(func(v Vector, folder string, identity *Identity) (object, error) {
		vault, err := openVault(folder, identity, true)
		if err != nil {
			return nil, err
		}
		items, err := vault.items()
		if err != nil {
			return nil, err
		}
		findings, err := checkVault(folder, identity)
		if err == nil && len(findings) > 0 {
			err = refuse(notOurs, "a check says %v", findings)
		}
		list := []any{}
		for _, item := range items {
			list = append(list, item)
		}
		return object{"items": list, "is_warned": vault.Warning != ""}, err
	})
	runners["vaults/check"] = inFolder(func(v Vector, folder string, identity *Identity) (object, error) {
		findings, err := checkVault(folder, identity)
		for _, each := range findings {
			if each.Subject == v.text("about") {
				return nil, nil
			}
		}
		if err == nil {
			err = refuse(notOurs, "a check says %v, and nothing about %s", findings, v.text("about"))
		}
		return nil, err
	})
	runners["vaults/append"] = inFolder(func(v Vector, folder string, _ *Identity) (object, error) {
		return nil, canAppend(folder, v.bytes("file_key"))
	})
}

// inFolder lays a vector's files out in a folder of their own.
func inFolder(run func(Vector, string, *Identity) (object, error)) func(Vector) (object, error) {
	return func(v Vector) (object, error) {
		identity, err := newIdentity(v.bytes("identity"))
		if err != nil {
			return nil, err
		}
		folder, err := os.MkdirTemp("", "reader")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(folder)
		if err := layOut(v, folder); err != nil {
			return nil, err
		}
		return run(v, folder, identity)
	}
}

func layOut(v Vector, folder string) error {
	for name, source := range v.object["files"].(object) {
		content, err := os.ReadFile(filepath.Join(v.folder, "vaults", "files", source.(string)))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			return err
		}
	}
	for _, edit := range v.object["edits"].([]any) {
		if err := apply(v, edit.(object), folder); err != nil {
			return err
		}
	}
	return nil
}

func apply(v Vector, edit object, folder string) error {
	path := filepath.Join(folder, edit["file"].(string))
	content, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	if take, is := edit["take"].([]any); is {
		source, err := os.ReadFile(filepath.Join(v.folder, "vaults", "files", take[0].(string)))
		if err != nil {
			return err
		}
		at, size := numberOf(take[1]), numberOf(take[2])
		copy(content[at:at+size], source[at:at+size])
		return os.WriteFile(path, content, 0o600)
	}
	return os.WriteFile(path, edited(content, edit), 0o600)
}

func edited(content []byte, edit object) []byte {
	if text, is := edit["text"].(string); is {
		return []byte(text)
	}
	if size, is := integerOf(edit["truncate"]); is {
		return content[:min(int(size), len(content))]
	}
	if more, is := edit["append"].(string); is {
		return append(content, fromHex(more)...)
	}
	if swap, is := edit["swap"].([]any); is {
		one, other, size := numberOf(swap[0]), numberOf(swap[1]), numberOf(swap[2])
		first := strings.Clone(string(content[one : one+size]))
		copy(content[one:], content[other:other+size])
		copy(content[other:], first)
		return content
	}
	xor := edit["xor"].([]any)
	for i, mask := range fromHex(xor[1]) {
		content[numberOf(xor[0])+i] ^= mask
	}
	return content
}

func numberOf(value any) int {
	n, _ := integerOf(value)
	return int(n)
}
