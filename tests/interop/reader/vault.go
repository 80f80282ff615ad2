package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// FORMAT.md, "Opening" (steps 2 to 8, what reading asks of them) and "Reading".

const maxHeadBytes = 65536

// Vault is a pod folder that was opened for reading.
type Vault struct {
	Policy   *SignedPolicy
	Database *Database
	Altered  []uint32 // pages whose HMAC does not hold
	Warning  string   // what is odd about log.head
	FileKey  []byte
	epoch    uint32
	identity *Identity
	secrets  map[uint32]*SlotSecrets
	wal      *WAL
	nodes    map[nodeAt][]byte
	batches  []*BatchRow
	known    []*SignedPolicy // the policies of the pod's history that count
}

// BatchRow is a row of the table batch; its header is read where it is used.
type BatchRow struct {
	Number, FirstSeq                          int64
	UID, Header, Wraps, Signature, Checkpoint []byte
}

type nodeAt struct{ level, i int64 }

// openVault reads a folder with an identity. isWhole: pages that fail their checks are refused, not reported.
func openVault(folder string, identity *Identity, isWhole bool) (*Vault, error) {
	v, err := openPair(folder, identity)
	if err != nil {
		return nil, err
	}
	if err := v.openFile(folder, isWhole); err != nil {
		return v, err
	}
	return v, v.openContent(folder)
}

// openPair verifies pod.toml and slots.json, and opens the file key.
func openPair(folder string, identity *Identity) (*Vault, error) {
	v := &Vault{identity: identity}
	podToml, err := readFile(folder, "pod.toml", 1<<20)
	if err != nil {
		return nil, err
	}
	slotsJSON, err := readFile(folder, "slots.json", 16<<20)
	if err != nil {
		return nil, err
	}
	if v.Policy, err = verifyPolicy(podToml, slotsJSON, true); err != nil {
		return nil, err
	}
	if !v.Policy.reaches([][]byte{identity.Trusts}, v.Policy.Signer) {
		return nil, refuse(Policy, "the identity never endorsed the policy's signer")
	}
	info := pae([]byte("file-key/v1"), []byte{suite}, v.Policy.PodID)
	if v.FileKey, err = identity.openSealed(v.Policy.FileKey, info); err != nil {
		return nil, err
	}
	if len(v.FileKey) != 32 {
		return nil, refuse(Malformed, "a file key is 32 bytes")
	}
	return v, nil
}

func (v *Vault) openFile(folder string, isWhole bool) error {
	file, err := readFile(folder, "vault.db", 1<<40)
	if err != nil {
		return err
	}
	log, err := readFile(folder, "vault.db-wal", 1<<40)
	if err != nil && kindOf(err) != Missing {
		return err
	}
	v.wal = readWAL(log)
	image, err := readImage(file, log, v.FileKey)
	if err != nil {
		return err
	}
	v.Altered = image.Altered
	if isWhole && len(v.Altered) > 0 {
		return refuse(Damaged, "page %d of the vault fails its checks", v.Altered[0])
	}
	v.Database, err = openDatabase(image.Plain)
	return err
}

func (v *Vault) openContent(folder string) error {
	for _, step := range []func() error{
		v.checkFormat, v.Database.checkSchema, v.checkPod, v.loadLog, v.checkNewest,
		func() error { return v.checkHead(folder) }, v.openSlots, v.loadPolicies,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (v *Vault) meta(key string) ([]byte, error) {
	rows, err := v.Database.rows("tb", "key, value", "FROM meta ORDER BY key")
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		if row[0] == key {
			return row[1].([]byte), nil
		}
	}
	return nil, nil
}

// checkFormat bears a lower format: it is read.
func (v *Vault) checkFormat() error {
	raw, err := v.meta("format")
	if err != nil {
		return err
	}
	format, err := readLE32(raw)
	if err != nil {
		return refuse(Damaged, "this is no vault: it names no format")
	}
	if format > 1 {
		return refuse(FormatTooNew, "the vault has format %d", format)
	}
	return nil
}

func (v *Vault) checkPod() error {
	id, err := v.meta("pod_id")
	if err != nil {
		return err
	}
	if !bytes.Equal(id, v.Policy.PodID) {
		return refuse(ForeignPod, "the vault is of another pod")
	}
	raw, err := v.meta("epoch")
	if err != nil {
		return err
	}
	if v.epoch, err = readLE32(raw); err != nil || v.epoch == 0 {
		return refuse(Damaged, "the vault names no epoch")
	}
	for n := uint32(1); n < v.epoch; n++ {
		last, err := v.meta("epoch/" + strconv.FormatUint(uint64(n), 10))
		if err != nil {
			return err
		}
		if last == nil {
			return refuse(Damaged, "the vault does not say how epoch %d ended", n)
		}
	}
	return nil
}

func (v *Vault) loadLog() error {
	rows, err := v.Database.rows("iib", "level, i, hash", "FROM node")
	if err != nil {
		return err
	}
	v.nodes = map[nodeAt][]byte{}
	for _, row := range rows {
		v.nodes[nodeAt{row[0].(int64), row[1].(int64)}] = row[2].([]byte)
	}
	rows, err = v.Database.rows("iibbbbb", "batch, first_seq, uid, header, wraps, signature, checkpoint",
		"FROM batch ORDER BY batch")
	if err != nil {
		return err
	}
	for _, row := range rows {
		v.batches = append(v.batches, &BatchRow{
			row[0].(int64), row[1].(int64), row[2].([]byte), row[3].([]byte), row[4].([]byte), row[5].([]byte), row[6].([]byte),
		})
	}
	return nil
}

// rootAt is the root that the nodes give for the log's first size batches.
func (v *Vault) rootAt(size int64) ([]byte, error) {
	if size == 0 {
		return hash(), nil
	}
	var root []byte
	// From the right: each bit of size is one complete subtree.
	for level := int64(0); size>>level > 0; level++ {
		if size>>level&1 == 0 {
			continue
		}
		at := nodeAt{level, size>>level - 1}
		peak := v.nodes[at]
		if len(peak) != hashBytes {
			return nil, refuse(Damaged, "the log lacks node %d of level %d, or it is no hash", at.i, at.level)
		}
		if root == nil {
			root = peak
		} else {
			root = nodeHash(peak, root)
		}
	}
	return root, nil
}

// checkNewest is step 7: the newest batch, its items and its checkpoint.
func (v *Vault) checkNewest() error {
	rows, err := v.Database.rows("i", "seq", "FROM item ORDER BY seq DESC LIMIT 1")
	if err != nil {
		return err
	}
	if len(v.batches) == 0 {
		if len(rows) > 0 {
			return refuse(Damaged, "items lack a batch")
		}
		return nil
	}
	newest := v.batches[len(v.batches)-1]
	header, err := readHeader(newest.Header)
	if err != nil {
		return err
	}
	if !bytes.Equal(header.PodID, v.Policy.PodID) {
		return refuse(ForeignPod, "the newest batch is of another pod")
	}
	if len(rows) == 0 || rows[0][0] != newest.FirstSeq+int64(header.Count)-1 {
		return refuse(Damaged, "the newest batch lacks items, or items lack a batch")
	}
	if !bytes.Equal(v.nodes[nodeAt{0, newest.Number - 1}], leafHash(newest.Header)) {
		return refuse(Damaged, "the newest header is not the newest leaf of the log")
	}
	return v.checkCheckpoint(newest)
}

func (v *Vault) checkCheckpoint(row *BatchRow) error {
	checkpoint, err := acceptCheckpoint(row.Checkpoint, originOf(v.Policy.PodID, v.epoch), v.Policy.VaultLogs)
	if err != nil {
		return err
	}
	root, err := v.rootAt(row.Number)
	if err != nil {
		return err
	}
	if checkpoint.Size != uint64(row.Number) || !bytes.Equal(checkpoint.Root, root) {
		return refuse(Damaged, "the checkpoint of batch %d is not of this log", row.Number)
	}
	return nil
}

// checkHead is step 8: the newest checkpoint that the server published.
func (v *Vault) checkHead(folder string) error {
	note, err := readFile(folder, "log.head", maxHeadBytes)
	if kindOf(err) == Missing && len(v.batches) == 0 {
		return nil
	}
	if err != nil {
		v.Warning = "log.head is missing or unreadable"
		return nil
	}
	head, err := readCheckpoint(note)
	if err != nil || head.verify(v.Policy.VaultLogs) != nil {
		v.Warning = "log.head is no checkpoint by a log key of the pod"
		return nil
	}
	_, epoch, err := epochOf(head.Origin)
	isOwn := err == nil && epoch < 1<<32 && head.Origin == originOf(v.Policy.PodID, uint32(epoch))
	count := uint64(len(v.batches))
	switch {
	case !isOwn || epoch < uint64(v.epoch):
		v.Warning = "log.head is of another pod or an earlier epoch"
		return nil
	case epoch > uint64(v.epoch):
		return refuse(Rollback, "log.head has seen epoch %d", epoch)
	case head.Size > count && !v.wal.hasFrame:
		return refuse(Torn, "the vault is without its write-ahead log")
	case head.Size > count:
		return refuse(Rollback, "an older vault was put here")
	}
	root, err := v.rootAt(int64(head.Size))
	if err == nil && !bytes.Equal(root, head.Root) {
		err = refuse(Rollback, "the log is not the one log.head has seen at %d", head.Size)
	}
	return err
}

func (v *Vault) openSlots() error {
	v.secrets = map[uint32]*SlotSecrets{}
	for _, slot := range v.Policy.Slots {
		secrets, err := v.identity.openRewrap(slot.Rewrap, v.Policy.PodID, slot.Number)
		if err != nil {
			return err
		}
		v.secrets[slot.Number] = secrets
	}
	return nil
}

// readFile reads a small file of a pod folder.
func readFile(folder, name string, most int64) ([]byte, error) {
	path := filepath.Join(folder, name)
	found, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, refuse(Missing, "%s is not there", name)
	}
	if err != nil {
		return nil, refuse(Storage, "%s: %v", name, err)
	}
	if found.Size() > most {
		return nil, refuse(Malformed, "%s is larger than %d bytes", name, most)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, refuse(Storage, "%s: %v", name, err)
	}
	return content, nil
}
