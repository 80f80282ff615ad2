package main

import (
	"bytes"
	"encoding/hex"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// FORMAT.md, "Recovery shares": sheets, and what a home remembers.

const maxRecordBytes = 4096

var (
	sheetLine = regexp.MustCompile(`(?m)^[ \t]*shared-pod recovery share, version ([1-9][0-9]{0,8})\s*$`)
	podLine   = regexp.MustCompile(`(?m)^ *pod id +([0-9a-f]{64}) *$`)
	wordLine  = regexp.MustCompile(`\A *(?:[0-9]{1,2} +[A-Za-z]+ *)+\z`)
	wordPair  = regexp.MustCompile(`([0-9]+) +([A-Za-z]+)`)
	kidDigits = regexp.MustCompile(`\A[0-9a-f]{64}\z`)
	setWords  = regexp.MustCompile(`\A[a-z]+ [a-z]+\z`)
)

// readSheet reads a sheet for a pod, or words alone; it says whether the sheet names the pod.
func readSheet(text string, podID []byte) (*Share, bool, error) {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	versions := sheetLine.FindAllStringSubmatch(text, -1)
	if len(versions) == 0 {
		share, err := readShare(text)
		return share, false, err
	}
	if versions[0][1] != "1" {
		return nil, false, refuse(FormatTooNew, "a sheet of a later version")
	}
	if len(versions) > 1 {
		return nil, false, refuse(Malformed, "several sheets")
	}
	words, err := numberedWords(text)
	if err != nil {
		return nil, false, err
	}
	share, err := readShare(strings.Join(words, " "))
	if err != nil {
		return nil, false, err
	}
	named := podLine.FindStringSubmatch(text)
	if named != nil && named[1] != hex.EncodeToString(podID) {
		return nil, false, refuse(ForeignPod, "a sheet of another pod")
	}
	return share, named != nil, nil
}

// numberedWords returns the words of a sheet in the order of their numbers.
func numberedWords(text string) ([]string, error) {
	words, count := make([]string, shareWords), 0
	for line := range strings.SplitSeq(text, "\n") {
		if !wordLine.MatchString(line) {
			continue
		}
		for _, pair := range wordPair.FindAllStringSubmatch(line, -1) {
			number, err := strconv.Atoi(pair[1])
			if err != nil || number < 1 || number > shareWords {
				return nil, refuse(Malformed, "a number that no word has")
			}
			words[number-1] = pair[2]
			count++
		}
	}
	if count != shareWords || slices.Contains(words, "") {
		return nil, refuse(Malformed, "each word once, with its number")
	}
	return words, nil
}

// readRecord reads recovery.json.
func readRecord(content []byte) (object, error) {
	if len(content) > maxRecordBytes {
		return nil, refuse(Malformed, "recovery.json has at most 4096 bytes")
	}
	value, err := readJSON(bytes.TrimSpace(content))
	if err != nil {
		return nil, err
	}
	record, is := value.(object)
	format, isInteger := integerOf(record["format"])
	if !is || !isInteger || format < 1 {
		return nil, refuse(Malformed, "an object with a format was expected")
	}
	if format > 1 {
		return nil, refuse(FormatTooNew, "recovery.json is of a later version")
	}
	for member, each := range record {
		text, _ := each.(string)
		_, isInteger := integerOf(each)
		isFine := map[string]bool{
			"format": true, "recipient": kidDigits.MatchString(text), "set": setWords.MatchString(text),
			"made_ms": isInteger, "drilled_ms": isInteger,
		}[member]
		if !isFine {
			return nil, refuse(Malformed, "a member that recovery.json has not, or of another type")
		}
	}
	if record["recipient"] == nil || record["set"] == nil {
		return nil, refuse(Malformed, "recovery.json lacks a member")
	}
	return record, nil
}

func shareFacts(share *Share) object {
	return object{"set": share.Set, "number": share.Number, "needs": share.Needs}
}

func init() {
	runners["recovery/shares"] = func(v Vector) (object, error) {
		share, err := readShare(v.text("words"))
		if err != nil {
			return nil, err
		}
		return shareFacts(share), nil
	}
	runners["recovery/sheets"] = func(v Vector) (object, error) {
		share, isNamed, err := readSheet(v.text("text"), v.bytes("pod_id"))
		if err != nil {
			return nil, err
		}
		found := shareFacts(share)
		found["names_pod"] = isNamed
		return found, nil
	}
	runners["recovery/sets"] = func(v Vector) (object, error) {
		shares := []*Share{}
		list, _ := v.object["shares"].([]any)
		for _, words := range list {
			share, err := readShare(words.(string))
			if err != nil {
				return nil, err
			}
			shares = append(shares, share)
		}
		identity, err := joinShares(shares)
		return object{"identity": toHex(identity)}, err
	}
	runners["recovery/records"] = func(v Vector) (object, error) {
		record, err := readRecord([]byte(v.text("content")))
		return object{"record": record}, err
	}
}
