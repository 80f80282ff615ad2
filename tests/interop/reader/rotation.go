package main

import (
	"regexp"
	"strings"
)

// FORMAT.md, "Rotation": home's file while one is not done.

const rotationMark = "shared-pod-rotation/v1 "

var laterRotation = regexp.MustCompile(`\Ashared-pod-rotation/v[1-9][0-9]{0,8} `)

// openRotation returns the coming file key.
func (i *Identity) openRotation(line string, podID []byte) ([]byte, error) {
	encoded, is := strings.CutPrefix(line, rotationMark)
	if !is {
		if laterRotation.MatchString(line) {
			return nil, refuse(FormatTooNew, "a rotation of a later format")
		}
		return nil, refuse(Malformed, "no rotation")
	}
	sealed, err := decodeBase64(encoded)
	if err != nil {
		return nil, err
	}
	key, err := i.openSealed(sealed, pae([]byte("rotation/v1"), []byte{suite}, podID))
	if err == nil && len(key) != 32 {
		err = refuse(Damaged, "a file key is 32 bytes")
	}
	return key, err
}

func init() {
	runners["rotations"] = func(v Vector) (object, error) {
		identity, err := newIdentity(v.bytes("identity"))
		if err != nil {
			return nil, err
		}
		key, err := identity.openRotation(v.text("line"), v.bytes("pod_id"))
		return object{"file_key": toHex(key)}, err
	}
}
