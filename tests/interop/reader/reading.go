package main

import "bytes"

// FORMAT.md, "Reading": batches in order, and their items.

// loadPolicies finds the policies of the table that count in the pod's history.
func (v *Vault) loadPolicies() error {
	rows, err := v.policyRows()
	if err != nil {
		return err
	}
	for _, row := range rows {
		if policy, err := v.historic(row); err == nil {
			v.known = append(v.known, policy)
		}
	}
	return nil
}

// PolicyRow is a row of the table policy.
type PolicyRow struct {
	Revision                 int64
	Hash, PodToml, SlotsJSON []byte
}

func (v *Vault) policyRows() ([]PolicyRow, error) {
	rows, err := v.Database.rows("ibbb", "revision, hash, pod_toml, slots_json", "FROM policy ORDER BY revision")
	found := []PolicyRow{}
	for _, row := range rows {
		found = append(found, PolicyRow{row[0].(int64), row[1].([]byte), row[2].([]byte), row[3].([]byte)})
	}
	return found, err
}

// historic returns the policy of a row if it counts.
func (v *Vault) historic(row PolicyRow) (*SignedPolicy, error) {
	policy, err := verifyPolicy(row.PodToml, row.SlotsJSON, false)
	switch {
	case err != nil:
		return nil, err
	case policy.Revision != row.Revision || !bytes.Equal(policy.Digest, row.Hash):
		return nil, refuse(Damaged, "it is not the policy its row names")
	case !bytes.Equal(policy.PodID, v.Policy.PodID):
		return nil, refuse(Damaged, "it is of another pod")
	case !contains(v.Policy.historySigners(), policy.Signer):
		return nil, refuse(Damaged, "it is signed by someone the pod's policy does not know")
	}
	return policy, nil
}

// named returns the policy that a header names; nil if it does not count.
func (v *Vault) named(header *Header) *SignedPolicy {
	for _, policy := range v.known {
		if bytes.Equal(policy.Digest, header.Policy) {
			return policy
		}
	}
	return nil
}

// logKeys are those that may have signed a header: of the pair, or of the policy it names.
func (v *Vault) logKeys(header *Header) [][]byte {
	keys := append(append([][]byte{}, v.Policy.VaultLogs...), v.Policy.FunctionLogs...)
	if policy := v.named(header); policy != nil {
		keys = append(append(keys, policy.VaultLogs...), policy.FunctionLogs...)
	}
	return keys
}

// ItemRow is a row of the table item. Name and Sealed are nil for NULL.
type ItemRow struct {
	Seq                     int64
	Name, C, Digest, Sealed []byte
}

// itemRows returns the rows by seq.
func (v *Vault) itemRows() (map[int64]*ItemRow, error) {
	rows, err := v.Database.rows("iBbbB", "seq, name, c, digest, sealed", "FROM item")
	found := map[int64]*ItemRow{}
	for _, row := range rows {
		seq := row[0].(int64)
		found[seq] = &ItemRow{seq, row[1].([]byte), row[2].([]byte), row[3].([]byte), row[4].([]byte)}
	}
	return found, err
}

func (v *Vault) statements() (map[int64][]byte, error) {
	rows, err := v.Database.rows("ib", "seq, statement", "FROM erasure")
	found := map[int64][]byte{}
	for _, row := range rows {
		found[row[0].(int64)] = row[1].([]byte)
	}
	return found, err
}

// later returns the wraps that a batch got after it was written, by kid.
func (v *Vault) later(batch int64) (map[string][]byte, error) {
	rows, err := v.Database.rows("ibb", "batch, kid, wrap", "FROM rewrap")
	found := map[string][]byte{}
	for _, row := range rows {
		if row[0] == batch {
			found[string(row[1].([]byte))] = row[2].([]byte)
		}
	}
	return found, err
}

// items returns every item, in order, as an object of one line; of one that is passed over, where it is and why.
func (v *Vault) items() ([]object, error) {
	rows, err := v.itemRows()
	if err != nil {
		return nil, err
	}
	statements, err := v.statements()
	if err != nil {
		return nil, err
	}
	found, leaves := []object{}, [][]byte{}
	for _, batch := range v.batches {
		leaves = append(leaves, leafHash(batch.Header))
		items, err := v.itemsOf(batch, rows, statements)
		if err != nil {
			return nil, err
		}
		found = append(found, items...)
	}
	if len(v.batches) == 0 {
		return found, nil
	}
	newest, err := readCheckpoint(v.batches[len(v.batches)-1].Checkpoint)
	if err == nil && !bytes.Equal(rootOf(leaves), newest.Root) {
		err = refuse(Damaged, "the batches are not those of the log")
	}
	return found, err
}

func (v *Vault) itemsOf(batch *BatchRow, rows map[int64]*ItemRow, statements map[int64][]byte) ([]object, error) {
	header, err := readHeader(batch.Header)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(header.PodID, v.Policy.PodID) {
		return nil, refuse(ForeignPod, "batch %d is of another pod", batch.Number)
	}
	if !header.signedBy(v.logKeys(header), batch.Signature) {
		return nil, refuse(Damaged, "batch %d: its header is not signed by a log key", batch.Number)
	}
	later, err := v.later(batch.Number)
	if err != nil {
		return nil, err
	}
	opened, err := v.identity.openBatch(header, batch.Wraps, later)
	if err != nil {
		return nil, err
	}
	found := []object{}
	for i := range header.Count {
		seq := batch.FirstSeq + int64(i)
		row, is := rows[seq]
		if !is {
			return nil, refuse(Damaged, "item %d is not there", seq)
		}
		if row.Sealed == nil {
			if _, err := verifyErasure(statements[seq], header, i, row.Digest, v.Policy.historySigners()); err != nil {
				return nil, as(Damaged, err)
			}
			continue
		}
		item, err := opened.open(i, row.Sealed)
		if isGarbage(err) && isAsLogged(header, batch, rows) {
			found = append(found, object{"seq": seq, "batch": batch.Number, "unreadable": string(kindOf(err))})
			continue
		}
		if err != nil {
			return nil, err
		}
		if !v.isAgain(item, row, rows) {
			found = append(found, v.line(item, header, batch, seq))
		}
	}
	return found, nil
}

// isGarbage says whether an item does not open, or opens to what is no item; one of a later format is none.
func isGarbage(err error) bool {
	kind := kindOf(err)
	return kind == Damaged || kind == Malformed
}

// isAsLogged says whether a batch is what its header's signer made: then an unreadable item was sealed so.
func isAsLogged(header *Header, batch *BatchRow, rows map[int64]*ItemRow) bool {
	leaves := [][]byte{}
	for i := range header.Count {
		row, is := rows[batch.FirstSeq+int64(i)]
		if !is || row.Sealed != nil && !bytes.Equal(hash(row.Sealed), row.Digest) {
			return false
		}
		leaves = append(leaves, itemLeaf(header.PodID, header.UID, i, row.C, row.Digest))
	}
	return bytes.Equal(rootOf(leaves), header.ItemRoot)
}

func (v *Vault) line(item *OpenedItem, header *Header, batch *BatchRow, seq int64) object {
	var name any
	if secrets, is := v.secrets[item.Slot]; is {
		name = secrets.Name
	}
	return object{
		"seq": seq, "batch": batch.Number, "ms": header.MS, "slot": int64(item.Slot), "slot_name": name,
		"members": item.Members,
	}
}

// isAgain says whether an item without a name is the one that has its name and its C ("Collecting").
func (v *Vault) isAgain(item *OpenedItem, row *ItemRow, rows map[int64]*ItemRow) bool {
	secrets, is := v.secrets[item.Slot]
	if row.Name != nil || !is {
		return false
	}
	name := itemName(secrets.NameKey, item.Members["id"].(string))
	for _, other := range rows {
		if bytes.Equal(other.Name, name) && bytes.Equal(other.C, row.C) && other.Sealed != nil {
			return true
		}
	}
	return false
}
