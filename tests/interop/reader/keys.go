package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/hex"
)

// FORMAT.md, "Keys".

const (
	suite             = 2
	encapsulatedBytes = 1120
	recipientBytes    = 1216
)

func hash(parts ...[]byte) []byte {
	h := sha256.New()
	for _, part := range parts {
		h.Write(part)
	}
	return h.Sum(nil)
}

func mac(key, text []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(text)
	return h.Sum(nil)
}

// parseDigits reads exactly 64 hexadecimal digits of any case.
func parseDigits(digits string) ([]byte, error) {
	raw, err := hex.DecodeString(digits)
	if err != nil || len(digits) != 64 {
		return nil, refuse(Malformed, "64 hexadecimal digits were expected")
	}
	return raw, nil
}

// podID of an owner key.
func podID(ownerKey []byte) []byte { return hash(ownerKey) }

// derive is D(K, use) in one pod.
func derive(databaseKey, podID []byte, use string) []byte {
	return mustDerive(hkdf.Key(sha256.New, databaseKey, podID, "shared-pod/"+use+"/v1", 32))
}

// deriveIdentity is I(use).
func deriveIdentity(identity []byte, use string) []byte {
	return mustDerive(hkdf.Key(sha256.New, identity, nil, "shared-pod/identity/"+use+"/v1", 32))
}

// expand is HKDF-Expand with the secret as its pseudorandom key.
func expand(secret []byte, info string) []byte {
	return mustDerive(hkdf.Expand(sha256.New, secret, info, 32))
}

// mustDerive passes on what HKDF gives: its errors are about lengths, and ours are constant.
func mustDerive(key []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return key
}

// openGCM opens AES-256-GCM under a key of 32 bytes; nil if it does not open.
func openGCM(key, nonce, ciphertext, associatedData []byte) []byte {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil
	}
	plaintext, err := aead.Open([]byte{}, nonce, ciphertext, associatedData)
	if err != nil {
		return nil
	}
	return plaintext
}

// openBox opens nonce || ciphertext || tag; nil if it does not open.
func openBox(key, box, associatedData []byte) []byte {
	if len(box) < 12 {
		return nil
	}
	return openGCM(key, box[:12], box[12:], associatedData)
}

// Identity is a maintainer's.
type Identity struct {
	private   hpke.PrivateKey
	Recipient []byte
	Kid       []byte
	Signer    []byte
	Trusts    []byte // the signer whom this home trusts: its own, unless it joined another's pod
}

func newIdentity(secret []byte) (*Identity, error) {
	private, err := hpke.MLKEM768X25519().NewPrivateKey(deriveIdentity(secret, "seal"))
	if err != nil {
		return nil, err
	}
	recipient := private.PublicKey().Bytes()
	signer := publicKey(deriveIdentity(secret, "sign"))
	return &Identity{private, recipient, hash(recipient), signer, signer}, nil
}

// readRecipient returns the kid of what can be sealed to.
func readRecipient(raw []byte) ([]byte, error) {
	if len(raw) != recipientBytes {
		return nil, refuse(Malformed, "a recipient is 1216 bytes, these are %d", len(raw))
	}
	if _, err := hpke.MLKEM768X25519().NewPublicKey(raw); err != nil {
		return nil, refuse(Malformed, "no encapsulation key")
	}
	return hash(raw), nil
}

// openHPKE opens encapsulated key || ciphertext || tag; nil if it does not open.
func (i *Identity) openHPKE(sealed, info []byte) []byte {
	plaintext, err := hpke.Open(i.private, hpke.HKDFSHA256(), hpke.AES256GCM(), info, sealed)
	if err != nil {
		return nil
	}
	return append([]byte{}, plaintext...)
}

// entries reads what is sealed to recipients: kid to ciphertext.
func entries(sealed []byte) (map[string][]byte, error) {
	list, err := split(sealed)
	if err != nil {
		return nil, err
	}
	found := map[string][]byte{}
	for _, each := range list {
		pair, err := splitN(each, 2)
		if err != nil {
			return nil, err
		}
		kid := string(pair[0])
		if _, isTwice := found[kid]; isTwice || len(kid) != hashBytes {
			return nil, refuse(Malformed, "an entry of no recipient, or two of one")
		}
		found[kid] = pair[1]
	}
	return found, nil
}

// openSealed opens what is sealed to recipients.
func (i *Identity) openSealed(sealed, info []byte) ([]byte, error) {
	found, err := entries(sealed)
	if err != nil {
		return nil, err
	}
	own, is := found[string(i.Kid)]
	if !is {
		return nil, refuse(WrongKey, "not sealed to this identity")
	}
	plaintext := i.openHPKE(own, info)
	if plaintext == nil {
		return nil, refuse(Damaged, "sealed to this identity, but it does not open")
	}
	return plaintext, nil
}

// publicKey of an Ed25519 seed of 32 bytes.
func publicKey(seed []byte) []byte {
	return ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
}

// holds says whether a signature over text is the key's.
func holds(key, text, signature []byte) bool {
	return len(key) == ed25519.PublicKeySize && len(signature) == signatureSize &&
		ed25519.Verify(ed25519.PublicKey(key), text, signature)
}
