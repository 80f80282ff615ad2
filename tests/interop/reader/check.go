package main

import (
	"bytes"
	"fmt"
	"strconv"
)

// FORMAT.md, "Reading": a check recomputes everything and goes on after what is wrong.

// Finding is one thing that is wrong, and what it is about.
type Finding struct{ Subject, Sentence string }

type checker struct {
	vault      *Vault
	findings   []Finding
	rows       map[int64]*ItemRow
	statements map[int64][]byte
	counted    map[int64]*counters
	nameCount  map[string]int
	nextSeq    int64
	skipped    int64
	there      counters
	leaves     [][]byte
	accounted  int
	erasures   int
}

type counters struct {
	items, bytes int64
	isAtLeast    bool // an item was erased or did not open: its bytes are not known
}

func (c *checker) find(subject, sentence string, arguments ...any) {
	c.findings = append(c.findings, Finding{subject, fmt.Sprintf(sentence, arguments...)})
}

// findErr notes an error, if it is one.
func (c *checker) findErr(subject string, err error) {
	if err != nil {
		c.find(subject, "%v", err)
	}
}

// checkVault returns everything that is wrong with a folder that opens.
func checkVault(folder string, identity *Identity) ([]Finding, error) {
	v, err := openVault(folder, identity, false)
	c := &checker{vault: v, counted: map[int64]*counters{}, nameCount: map[string]int{}, nextSeq: 1}
	if v != nil && len(v.Altered) > 0 {
		for _, page := range v.Altered {
			c.find(fmt.Sprintf("page %d", page), "its HMAC does not hold")
		}
		return c.findings, nil // what stands on a page that was altered says nothing
	}
	if err != nil {
		return nil, err
	}
	lines, err := v.Database.integrity()
	for _, line := range lines {
		c.find("database", "%s", line)
	}
	if err != nil {
		return nil, err
	}
	return c.findings, c.run()
}

func (c *checker) run() error {
	var err error
	if c.rows, err = c.vault.itemRows(); err != nil {
		return err
	}
	if c.statements, err = c.vault.statements(); err != nil {
		return err
	}
	for _, row := range c.rows {
		if row.Name != nil {
			c.nameCount[string(row.Name)]++
		}
	}
	for _, step := range []func() error{c.policies, c.batches, c.log, c.rest, c.slots} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) policies() error {
	rows, err := c.vault.policyRows()
	for _, row := range rows {
		_, err := c.vault.historic(row)
		c.findErr(fmt.Sprintf("policy %d", row.Revision), err)
	}
	return err
}

func (c *checker) batches() error {
	for i, row := range c.vault.batches {
		subject := fmt.Sprintf("batch %d", row.Number)
		if row.Number != int64(i+1) {
			c.find(subject, "it does not follow the batch before")
		}
		c.leaves = append(c.leaves, leafHash(row.Header))
		header, err := readHeader(row.Header)
		if err != nil {
			c.findErr(subject, err)
			continue
		}
		if c.vault.epoch > 1 && row.FirstSeq > c.nextSeq {
			c.skipped += row.FirstSeq - c.nextSeq
		} else if row.FirstSeq != c.nextSeq {
			c.find(subject, "its items do not follow those before")
		}
		c.nextSeq = row.FirstSeq + int64(header.Count)
		if !bytes.Equal(header.UID, row.UID) {
			c.find(subject, "its header has another uid")
		}
		if !bytes.Equal(header.PodID, c.vault.Policy.PodID) {
			c.find(subject, "it is of another pod")
		}
		c.signed(subject, row, header)
		if err := c.items(subject, row, header); err != nil {
			return err
		}
	}
	return nil
}

// signed checks what the policy that the header names says of the batch.
func (c *checker) signed(subject string, row *BatchRow, header *Header) {
	policy := c.vault.named(header)
	if policy == nil {
		c.find(subject, "the policy it names is not in the vault, or does not count")
		return
	}
	keys := append(append([][]byte{}, policy.VaultLogs...), policy.FunctionLogs...)
	if !header.signedBy(keys, row.Signature) {
		c.find(subject, "its header is not signed by a log key")
	}
	wraps, err := entries(row.Wraps)
	c.findErr(subject, err)
	for _, kid := range policy.Kids {
		if _, is := wraps[string(kid)]; !is {
			c.find(subject, "it is not sealed to a recipient of its policy")
		}
	}
	if err == nil && len(wraps) > len(policy.Kids) {
		c.find(subject, "it is sealed to someone its policy does not name")
	}
}

func (c *checker) items(subject string, row *BatchRow, header *Header) error {
	later, err := c.vault.later(row.Number)
	if err != nil {
		return err
	}
	opened, openErr := c.vault.identity.openBatch(header, row.Wraps, later)
	c.findErr(subject, openErr)
	leaves := [][]byte{}
	for i := range header.Count {
		seq := row.FirstSeq + int64(i)
		item, is := c.rows[seq]
		if !is {
			c.find(subject, "item %d was logged and is not there", seq)
			continue
		}
		c.accounted++
		leaves = append(leaves, itemLeaf(header.PodID, header.UID, i, item.C, item.Digest))
		c.item(opened, header, i, item)
	}
	if !bytes.Equal(rootOf(leaves), header.ItemRoot) {
		c.find(subject, "its items are not those its header names")
	}
	return nil
}

// item checks one row; opened is nil if the batch does not open.
func (c *checker) item(opened *OpenedBatch, header *Header, i uint32, row *ItemRow) {
	subject := fmt.Sprintf("item %d", row.Seq)
	if row.Sealed == nil {
		c.erasures++
		c.unknown()
		statement, is := c.statements[row.Seq]
		if !is {
			c.find(subject, "it is gone without a statement")
			return
		}
		_, err := verifyErasure(statement, header, i, row.Digest, c.vault.Policy.historySigners())
		c.findErr(subject, err)
		return
	}
	if !bytes.Equal(hash(row.Sealed), row.Digest) {
		c.find(subject, "its sealed bytes were altered")
	} else {
		c.there.items++
		c.there.bytes += int64(len(row.Sealed)) - 99
	}
	if opened == nil {
		c.unknown()
		return
	}
	item, err := opened.open(i, row.Sealed)
	if err != nil {
		c.findErr(subject, err)
		c.unknown()
		return
	}
	c.openedItem(subject, item, row)
}

func (c *checker) openedItem(subject string, item *OpenedItem, row *ItemRow) {
	if !bytes.Equal(commitment(item.Salt, item.Canonical), row.C) {
		c.find(subject, "its commitment is another item's")
	}
	count := c.of(int64(item.Slot))
	count.items++
	count.bytes += int64(len(item.Canonical))
	secrets, is := c.vault.secrets[item.Slot]
	if !is {
		c.find(subject, "it came through no slot of the policy")
		return
	}
	name := itemName(secrets.NameKey, item.Members["id"].(string))
	if row.Name == nil && c.nameCount[string(name)] == 0 {
		c.find(subject, "it has no name, and no other item has it")
	}
	if row.Name != nil && !bytes.Equal(row.Name, name) {
		c.find(subject, "its name is not its id's")
	}
}

// of returns the counters of a slot.
func (c *checker) of(slot int64) *counters {
	if c.counted[slot] == nil {
		c.counted[slot] = &counters{}
	}
	return c.counted[slot]
}

// unknown notes that an item's slot is not known, so that any slot may count it.
func (c *checker) unknown() { c.of(-1).isAtLeast = true }

// log checks nodes and checkpoints against the headers.
func (c *checker) log() error {
	expected := map[nodeAt][]byte{}
	level := c.leaves
	for at := int64(0); len(level) > 0; at++ {
		above := [][]byte{}
		for i, each := range level {
			expected[nodeAt{at, int64(i)}] = each
			if i%2 == 1 {
				above = append(above, nodeHash(level[i-1], each))
			}
		}
		level = above
	}
	for at, wanted := range expected {
		if !bytes.Equal(c.vault.nodes[at], wanted) {
			c.find("log", "node %d of level %d is missing or another", at.i, at.level)
		}
	}
	for at := range c.vault.nodes {
		if _, is := expected[at]; !is {
			c.find("log", "node %d of level %d is of no batch", at.i, at.level)
		}
	}
	for i, row := range c.vault.batches {
		c.checkpoint(row, rootOf(c.leaves[:i+1]))
	}
	return c.earlier()
}

func (c *checker) checkpoint(row *BatchRow, root []byte) {
	subject, keys := fmt.Sprintf("batch %d", row.Number), c.vault.Policy.VaultLogs
	found, err := acceptCheckpoint(row.Checkpoint, originOf(c.vault.Policy.PodID, c.vault.epoch), keys)
	if err != nil {
		c.findErr(subject, err)
		return
	}
	if found.Size != uint64(row.Number) || !bytes.Equal(found.Root, root) {
		c.find(subject, "its checkpoint is not of this log")
	}
}

// earlier checks how each earlier epoch ended.
func (c *checker) earlier() error {
	for n := uint32(1); n < c.vault.epoch; n++ {
		key := "epoch/" + strconv.FormatUint(uint64(n), 10)
		note, err := c.vault.meta(key)
		if err != nil {
			return err
		}
		_, err = acceptCheckpoint(note, originOf(c.vault.Policy.PodID, n), c.vault.Policy.VaultLogs)
		c.findErr(key, err)
	}
	return nil
}

// rest checks that every row belongs to something.
func (c *checker) rest() error {
	if len(c.rows) != c.accounted {
		c.find("items", "%d rows, of which batches account for %d", len(c.rows), c.accounted)
	}
	if len(c.statements) != c.erasures {
		c.find("erasures", "%d statements for %d items that are gone", len(c.statements), c.erasures)
	}
	return nil
}

func (c *checker) slots() error {
	rows, err := c.vault.Database.rows("iiiB", "slot, items, bytes, view", "FROM slot")
	if err != nil {
		return err
	}
	var all counters
	before := len(c.findings)
	for _, row := range rows {
		slot := row[0].(int64)
		all.items, all.bytes = all.items+row[1].(int64), all.bytes+row[2].(int64)
		subject := fmt.Sprintf("slot %d", slot)
		c.compare(subject, c.of(slot), row[1].(int64), row[2].(int64))
		delete(c.counted, slot)
		secrets, is := c.vault.secrets[uint32(slot)]
		if !is || slot != int64(uint32(slot)) {
			c.find(subject, "it is not in the policy")
			continue
		}
		_, err := openView(row[3].([]byte), secrets.ViewKey, c.vault.Policy.PodID, uint32(slot))
		c.findErr(subject, err)
	}
	for slot, count := range c.counted {
		if slot >= 0 {
			c.compare(fmt.Sprintf("slot %d", slot), count, 0, 0)
		}
	}
	if len(c.findings) == before {
		c.addUp(all)
	}
	return nil
}

// addUp compares the counters of all slots with all items.
func (c *checker) addUp(all counters) {
	logged := c.nextSeq - 1 - c.skipped
	least := logged
	if c.vault.epoch > 1 {
		least = c.there.items
	}
	isAll := c.there.items == logged
	if all.items < least || all.items > logged || all.bytes < c.there.bytes || isAll && all.bytes != c.there.bytes {
		c.find("slots", "their counters are not those of all items")
	}
}

func (c *checker) compare(subject string, count *counters, items, size int64) {
	isBelow := items < count.items || size < count.bytes
	isOther := items != count.items || size != count.bytes
	if isBelow || isOther && !c.of(-1).isAtLeast {
		c.find(subject, "its counters are not those of its items")
	}
}
