package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// FORMAT.md, "Checkpoints".

// Checkpoint is what a signed note says of a log.
type Checkpoint struct {
	Origin     string
	Size       uint64
	Root       []byte
	text       string
	signatures []noteSignature
}

type noteSignature struct {
	name      string
	keyID     []byte
	signature []byte
}

const maxNoteBytes = 131072

var (
	decimal       = regexp.MustCompile(`\A(0|[1-9][0-9]*)\z`)
	originPattern = regexp.MustCompile(`\Ashared-pod/([0-9a-f]{32})/([1-9][0-9]*)\z`)
)

// originOf the log of one epoch of a pod.
func originOf(podID []byte, epoch uint32) string {
	return "shared-pod/" + hex.EncodeToString(podID)[:32] + "/" + strconv.FormatUint(uint64(epoch), 10)
}

// readCheckpoint reads the shape of a note, and trusts nothing yet.
func readCheckpoint(note []byte) (*Checkpoint, error) {
	if len(note) > maxNoteBytes {
		return nil, refuse(Malformed, "a note is at most 131072 bytes")
	}
	if !utf8.Valid(note) {
		return nil, refuse(Malformed, "a note is UTF-8")
	}
	whole := string(note)
	if strings.ContainsFunc(whole, func(r rune) bool { return r < 0x20 && r != '\n' }) {
		return nil, refuse(Malformed, "a control character in a note")
	}
	at := strings.LastIndex(whole, "\n\n")
	if at < 0 || !strings.HasSuffix(whole, "\n") || at+2 == len(whole) {
		return nil, refuse(Malformed, "a signed note was expected")
	}
	found := &Checkpoint{text: whole[:at+1]}
	for _, line := range strings.Split(strings.TrimSuffix(whole[at+2:], "\n"), "\n") {
		signature, err := readSignatureLine(line)
		if err != nil {
			return nil, err
		}
		found.signatures = append(found.signatures, signature)
	}
	return found, found.readLines()
}

func (c *Checkpoint) readLines() error {
	lines := strings.Split(strings.TrimSuffix(c.text, "\n"), "\n")
	if len(lines) != 3 || lines[0] == "" {
		return refuse(Malformed, "exactly an origin, a size and a root were expected")
	}
	c.Origin = lines[0]
	var err error
	if c.Size, err = readDecimal(lines[1]); err != nil {
		return err
	}
	if c.Root, err = decodeBase64(lines[2]); err != nil {
		return err
	}
	return areHashes(c.Root)
}

func readDecimal(text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || !decimal.MatchString(text) {
		return 0, refuse(Malformed, "a decimal number below 2^63 was expected")
	}
	return n, nil
}

func readSignatureLine(line string) (noteSignature, error) {
	rest, is := strings.CutPrefix(line, "— ")
	name, encoded, isPair := strings.Cut(rest, " ")
	if !is || !isPair {
		return noteSignature{}, refuse(Malformed, "a signature line was expected")
	}
	if name == "" || strings.ContainsFunc(name, unicode.IsSpace) || strings.Contains(name, "+") {
		return noteSignature{}, refuse(Malformed, "a key name was expected")
	}
	raw, err := decodeBase64(encoded)
	if err != nil {
		return noteSignature{}, err
	}
	if len(raw) < 5 {
		return noteSignature{}, refuse(Malformed, "a signature line ends before its signature")
	}
	return noteSignature{name, raw[:4], raw[4:]}, nil
}

// acceptCheckpoint accepts a note for an origin and the keys that may sign it.
func acceptCheckpoint(note []byte, origin string, keys [][]byte) (*Checkpoint, error) {
	found, err := readCheckpoint(note)
	if err != nil {
		return nil, err
	}
	if found.Origin != origin {
		return nil, refuse(Damaged, "a checkpoint of another log")
	}
	return found, found.verify(keys)
}

// verify asks for a signature by one of the keys; one of theirs that does not hold condemns the note.
func (c *Checkpoint) verify(keys [][]byte) error {
	isSigned := false
	for _, key := range keys {
		id := hash([]byte(c.Origin), []byte{'\n', 1}, key)[:4]
		for _, each := range c.signatures {
			if each.name != c.Origin || !bytes.Equal(each.keyID, id) {
				continue
			}
			if !holds(key, []byte(c.text), each.signature) {
				return refuse(Damaged, "a checkpoint was altered")
			}
			isSigned = true
		}
	}
	if !isSigned {
		return refuse(Damaged, "a checkpoint not signed by a log key")
	}
	return nil
}

// epochOf returns the pod's half id and epoch that an origin names.
func epochOf(origin string) (string, uint64, error) {
	parts := originPattern.FindStringSubmatch(origin)
	if parts == nil {
		return "", 0, refuse(Malformed, "an origin of no pod")
	}
	epoch, err := readDecimal(parts[2])
	return parts[1], epoch, err
}

func encodeBase64(raw []byte) string { return base64.StdEncoding.EncodeToString(raw) }
