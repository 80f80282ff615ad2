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
		v.refuseOlder, v.checkFormat, v.Database.checkSchema, v.checkPod, v.loadLog, v.checkNewest,
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
