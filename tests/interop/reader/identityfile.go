package main

import (
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"
)

// FORMAT.md, "Identity file".

const identityMark = "shared-pod-identity/v"

var (
	identityVersion = regexp.MustCompile(`\A[1-9][0-9]{0,8}\z`)
	protected       = regexp.MustCompile(
		`\A(shared-pod-identity/v1 argon2id m=([1-9][0-9]{0,9}),t=([1-9][0-9]{0,9}),p=([1-9][0-9]{0,9}) ([A-Za-z0-9+/=]+) )([A-Za-z0-9+/=]+)\z`,
	)
)

// readIdentity returns the identity of a file; the passphrase is asked for only if it needs one.
func readIdentity(content string, passphrase func() (string, error)) ([]byte, error) {
	line := strings.TrimSuffix(content, "\n")
	rest, isMarked := strings.CutPrefix(line, identityMark)
	if !isMarked {
		return parseDigits(line)
	}
	version, _, _ := strings.Cut(rest, " ")
	if version != "1" && identityVersion.MatchString(version) {
		return nil, refuse(FormatTooNew, "an identity file of a later format")
	}
	parts := protected.FindStringSubmatch(line)
	if parts == nil {
		return nil, refuse(Malformed, "no identity file")
	}
	m, t, p := costOf(parts[2]), costOf(parts[3]), costOf(parts[4])
	if p > 16 || t > 16 || m < 8*p || m > 2097152 {
		return nil, refuse(Malformed, "costs of an identity file are out of range")
	}
	salt, err := decodeBase64(parts[5])
	if err != nil {
		return nil, err
	}
	box, err := decodeBase64(parts[6])
	if err != nil {
		return nil, err
	}
	if len(salt) != 16 || len(box) != 60 {
		return nil, refuse(Malformed, "a salt of 16 bytes and a box of 60 were expected")
	}
	typed, err := passphrase()
	if err != nil {
		return nil, err
	}
	key := argon2.IDKey(norm.NFC.Bytes([]byte(typed)), salt, uint32(t), uint32(m), uint8(p), 32)
	identity := openBox(key, box, []byte(parts[1]))
	if identity == nil {
		return nil, refuse(WrongKey, "this passphrase does not open the identity")
	}
	return identity, nil
}

func costOf(digits string) uint64 {
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		panic(err) // the pattern allows ten digits
	}
	return n
}
