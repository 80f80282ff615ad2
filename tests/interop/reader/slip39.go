package main

import (
	"bytes"
	"crypto/pbkdf2"
	"crypto/sha256"
	_ "embed"
	"math/big"
	"strings"
)

// SLIP-0039 (SatoshiLabs), as far as FORMAT.md, "Recovery shares", uses it. slip39.txt is its list of words.

//go:embed slip39.txt
var slip39List string

const (
	shareWords      = 33
	shareCheckWords = 3
	shareDigestAt   = 254
	shareSecretAt   = 255
	shareRounds     = 4
	shareIterations = 10000 << 1 / shareRounds // iteration exponent 1
)

var (
	slip39Words = strings.Fields(slip39List)
	slip39At    = map[string]int64{}
	// Logarithms and powers of 3 in GF(2^8) with x^8 + x^4 + x^3 + x + 1.
	gfPower [255]byte
	gfLog   [256]int
)

// Share is one share of an identity.
type Share struct {
	Set           string
	Number, Needs int64
	value         []byte
}

func init() {
	for i, word := range slip39Words {
		slip39At[word] = int64(i)
	}
	power := 1
	for i := range gfPower {
		gfPower[i], gfLog[power] = byte(power), i
		power ^= power << 1
		if power > 255 {
			power ^= 0x11b
		}
	}
}

// readShare reads the words of one share.
func readShare(text string) (*Share, error) {
	words, numbers := []string{}, []int64{}
	for _, word := range strings.Fields(strings.ToLower(text)) {
		if isListNumber(word) {
			continue
		}
		at, is := slip39At[word]
		if !is {
			return nil, refuse(Malformed, "a word that is not of the list")
		}
		words, numbers = append(words, word), append(numbers, at)
	}
	if len(words) != shareWords {
		return nil, refuse(Malformed, "a share has 33 words")
	}
	whole := joinWords(numbers[:shareWords-shareCheckWords])
	isExtendable := bitsOf(whole, 4, 1, 0) == 1
	label := "shamir"
	if isExtendable {
		label = "shamir_extendable"
	}
	if rs1024(label, numbers) != 1 {
		return nil, refuse(Malformed, "the checksum of a share does not hold")
	}
	isOne := bitsOf(whole, 0, 4, 0) == 1 && bitsOf(whole, 16, 4, 1) == 0 && bitsOf(whole, 12, 4, 1) == 0 && bitsOf(whole, 8, 4, 1) == 0
	found := &Share{
		Set:    words[0] + " " + words[1],
		Number: bitsOf(whole, 4, 4, 1) + 1,
		Needs:  bitsOf(whole, 0, 4, 1) + 1,
	}
	value := new(big.Int).And(whole, new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 260), big.NewInt(1)))
	if value.BitLen() > 256 || !isExtendable || !isOne || found.Needs < 2 {
		return nil, refuse(Malformed, "no share of an identity")
	}
	found.value = value.FillBytes(make([]byte, 32))
	return found, nil
}

// isListNumber says whether it is digits with `.`, `:` or `)` behind them.
func isListNumber(word string) bool {
	digits := strings.TrimRight(word, ".:)")
	return digits != "" && strings.Trim(digits, "0123456789") == ""
}

// joinWords gives ten bits a word; the value of 26 words stands last, two words of parameters before it, then two of the set.
func joinWords(numbers []int64) *big.Int {
	whole := new(big.Int)
	for _, number := range numbers {
		whole.Or(whole.Lsh(whole, 10), big.NewInt(number))
	}
	return whole
}

// bitsOf the set (part 0) or of the parameters (part 1), which have 20 each.
func bitsOf(whole *big.Int, from, count, part uint) int64 {
	part20 := new(big.Int).Rsh(whole, 260+20*(1-part))
	return part20.Int64() >> from & (1<<count - 1)
}

// rs1024 is the checksum of SLIP-0039 over a label and the numbers of all words; 1 if it holds.
func rs1024(label string, numbers []int64) int64 {
	generator := []int64{
		0xe0e040, 0x1c1c080, 0x3838100, 0x7070200, 0xe0e0009,
		0x1c0c2412, 0x38086c24, 0x3090fc48, 0x21b1f890, 0x3f3f120,
	}
	found := int64(1)
	add := func(value int64) {
		top := found >> 20
		found = found&0xfffff<<10 ^ value
		for i, each := range generator {
			if top>>i&1 == 1 {
				found ^= each
			}
		}
	}
	for _, letter := range []byte(label) {
		add(int64(letter))
	}
	for _, number := range numbers {
		add(number)
	}
	return found
}

// joinShares makes an identity; if there are more shares than are needed, each is tried.
func joinShares(shares []*Share) ([]byte, error) {
	for i, share := range shares {
		for _, other := range shares[:i] {
			if share.Set != other.Set || share.Needs != other.Needs || share.Number == other.Number {
				return nil, refuse(Malformed, "shares that are not of one set, or one twice")
			}
		}
	}
	needs := int(shares[0].Needs)
	if len(shares) < needs {
		return nil, refuse(notOurs, "too few shares") // no vector asks for it
	}
	found, err := combine(shares[:needs])
	for _, more := range shares[needs:] {
		if err == nil {
			_, err = combine(append(append([]*Share{}, shares[:needs-1]...), more))
		}
	}
	return found, err
}

func combine(shares []*Share) ([]byte, error) {
	sealed, digest := interpolate(shares, shareSecretAt), interpolate(shares, shareDigestAt)
	if !bytes.Equal(mac(digest[4:], sealed)[:4], digest[:4]) {
		return nil, refuse(Malformed, "the digest of a set does not hold")
	}
	left, right := sealed[:16], sealed[16:]
	for round := shareRounds - 1; round >= 0; round-- {
		f, err := pbkdf2.Key(sha256.New, string([]byte{byte(round)}), right, shareIterations, 16)
		if err != nil {
			return nil, err
		}
		mixed := make([]byte, 16)
		for i := range mixed {
			mixed[i] = left[i] ^ f[i]
		}
		left, right = right, mixed
	}
	return append(append([]byte{}, right...), left...), nil
}

// interpolate gives the value at x of the polynomials through the shares, a byte each (Lagrange).
func interpolate(shares []*Share, x int) []byte {
	found := make([]byte, 32)
	for _, share := range shares {
		basis := 0
		for _, other := range shares {
			if other != share {
				basis += gfLog[int(other.Number-1)^x] - gfLog[int(other.Number-1)^int(share.Number-1)]
			}
		}
		basis = (basis%255 + 255) % 255
		for i, value := range share.value {
			if value != 0 {
				found[i] ^= gfPower[(gfLog[value]+basis)%255]
			}
		}
	}
	return found
}
