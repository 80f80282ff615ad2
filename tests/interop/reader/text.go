package main

import "encoding/base64"

// decodeBase64 reads RFC 4648 section 4 in its one canonical form, on one line.
func decodeBase64(text string) ([]byte, error) {
	return decodeStrictly(base64.StdEncoding.Strict(), text)
}

// decodeBase64URL reads section 5, unpadded, in its one canonical form.
func decodeBase64URL(text string) ([]byte, error) {
	return decodeStrictly(base64.RawURLEncoding.Strict(), text)
}

func decodeStrictly(encoding *base64.Encoding, text string) ([]byte, error) {
	raw, err := encoding.DecodeString(text)
	// Go skips line breaks; the format does not.
	if err != nil || encoding.EncodeToString(raw) != text {
		return nil, refuse(Malformed, "not base64 in its one form")
	}
	return raw, nil
}
