package main

import (
	"bytes"
	"strings"
)

// FORMAT.md, "Opening": what a server asks before it appends, but for locks. Nothing is written here.

// canAppend says whether a server with this file key would open the folder.
func canAppend(folder string, fileKey []byte) error {
	podToml, err := readFile(folder, "pod.toml", 1<<20)
	if err != nil {
		return err
	}
	slotsJSON, err := readFile(folder, "slots.json", 16<<20)
	if err != nil {
		return err
	}
	v := &Vault{FileKey: fileKey}
	if v.Policy, err = verifyPolicy(podToml, slotsJSON, false); err != nil {
		return err
	}
	if err := v.checkLogKey(folder); err != nil {
		return err
	}
	if err := v.openFile(folder, true); err != nil {
		return err
	}
	for _, step := range []func() error{
		v.refuseOlder, v.checkFormat, v.Database.checkSchema, v.loadLog, v.checkTorn, v.checkPod, v.checkNewest,
		func() error { return v.checkHead(folder) }, v.checkSuccession,
	} {
		if err := step(); err != nil {
			return as(Damaged, err, FormatTooNew, FormatTooOld, ForeignPod, Torn, Rollback, Policy, Damaged)
		}
	}
	return nil
}

func (v *Vault) checkLogKey(folder string) error {
	text, err := readFile(folder, "log.key", 100)
	if err != nil {
		return err
	}
	seed, err := parseDigits(strings.TrimSuffix(string(text), "\n"))
	if err != nil {
		return err
	}
	if !contains(v.Policy.VaultLogs, publicKey(seed)) {
		return refuse(Policy, "log.key is not one of the policy's vault keys")
	}
	return nil
}

func (v *Vault) refuseOlder() error {
	raw, err := v.meta("format")
	if err != nil {
		return err
	}
	if format, err := readLE32(raw); err == nil && format < 1 {
		return refuse(FormatTooOld, "the vault has format %d", format)
	}
	return nil
}

// checkTorn is step 5: the log's batches and the four before are whole.
func (v *Vault) checkTorn() error {
	if v.wal.commits == 0 {
		return nil
	}
	rows, err := v.itemRows()
	if err != nil {
		return err
	}
	newest := int64(0)
	if len(v.batches) > 0 {
		newest = v.batches[len(v.batches)-1].Number
	}
	found := map[int64]*BatchRow{}
	for _, batch := range v.batches {
		found[batch.Number] = batch
	}
	for number := max(newest-v.wal.commits-4, 0) + 1; number <= newest; number++ {
		isWhole, err := v.isWhole(found[number], rows)
		if err != nil {
			return err
		}
		if !isWhole {
			return refuse(Torn, "batch %d is not whole: vault and log are of different times", number)
		}
	}
	return nil
}

func (v *Vault) isWhole(batch *BatchRow, rows map[int64]*ItemRow) (bool, error) {
	if batch == nil || !bytes.Equal(v.nodes[nodeAt{0, batch.Number - 1}], leafHash(batch.Header)) {
		return false, nil
	}
	header, err := readHeader(batch.Header)
	if err != nil {
		return false, err
	}
	if found, err := v.Database.count("batch INDEXED BY sqlite_autoindex_batch_2 WHERE +batch = ? AND uid = ?", batch.Number, batch.UID); found != 1 {
		return false, err
	}
	leaves := [][]byte{}
	for i := range header.Count {
		row, is := rows[batch.FirstSeq+int64(i)]
		if !is {
			return false, nil
		}
		if row.Name != nil {
			if found, err := v.Database.count("item INDEXED BY sqlite_autoindex_item_1 WHERE +seq = ? AND name = ?", row.Seq, row.Name); found != 1 {
				return false, err
			}
		}
		leaves = append(leaves, itemLeaf(header.PodID, header.UID, i, row.C, row.Digest))
	}
	return bytes.Equal(rootOf(leaves), header.ItemRoot), nil
}

// checkSuccession is step 9: the present policy may follow the accepted one.
func (v *Vault) checkSuccession() error {
	rows, err := v.policyRows()
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return refuse(Damaged, "the vault names no policy")
	}
	newest := rows[len(rows)-1]
	accepted, err := verifyPolicy(newest.PodToml, newest.SlotsJSON, false)
	if err != nil {
		return refuse(Damaged, "the accepted policy: %v", err)
	}
	if accepted.Revision != newest.Revision || !bytes.Equal(accepted.Digest, newest.Hash) {
		return refuse(Damaged, "the accepted policy is not the one its row names")
	}
	_, err = v.Policy.follows(accepted)
	return err
}
