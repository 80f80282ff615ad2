package main

import (
	"crypto/hpke"
	"regexp"
	"strings"
)

// FORMAT.md, "Public key file".

const (
	publicMark  = "shared-pod-public/v1 "
	publicBytes = recipientBytes + 32 + signatureSize
)

var laterPublic = regexp.MustCompile(`\Ashared-pod-public/v[1-9][0-9]{0,8} `)

// PublicKey is what others may know of an identity.
type PublicKey struct{ Kid, Signer, Fingerprint []byte }

// readPublic reads the line of a public key file, without white space around it.
func readPublic(line string) (*PublicKey, error) {
	encoded, is := strings.CutPrefix(line, publicMark)
	if !is {
		if laterPublic.MatchString(line) {
			return nil, refuse(FormatTooNew, "a public key file of a later format")
		}
		return nil, refuse(Malformed, "no public key file")
	}
	raw, err := decodeBase64(encoded)
	if err != nil {
		return nil, err
	}
	if len(raw) != publicBytes {
		return nil, refuse(Malformed, "a public key file holds 1312 bytes")
	}
	recipient, signer := raw[:recipientBytes], raw[recipientBytes:recipientBytes+32]
	if !holds(signer, pae([]byte("public/v1"), recipient, signer), raw[recipientBytes+32:]) {
		return nil, refuse(Damaged, "the signature of a public key file does not hold")
	}
	kid, err := readRecipient(recipient)
	if err != nil {
		return nil, err
	}
	return &PublicKey{kid, signer, hash(recipient, signer)}, canBeSealedTo(recipient)
}

// canBeSealedTo shows what the key alone does not: an X25519 point of small order.
func canBeSealedTo(recipient []byte) error {
	public, err := hpke.MLKEM768X25519().NewPublicKey(recipient)
	if err == nil {
		_, err = hpke.Seal(public, hpke.HKDFSHA256(), hpke.AES256GCM(), nil, nil)
	}
	if err != nil {
		return refuse(Malformed, "nothing can be sealed to this recipient")
	}
	return nil
}

func init() {
	runners["public-files"] = func(v Vector) (object, error) {
		found, err := readPublic(v.text("line"))
		if err != nil {
			return nil, err
		}
		return object{"kid": toHex(found.Kid), "signer": toHex(found.Signer), "fingerprint": toHex(found.Fingerprint)}, nil
	}
}
