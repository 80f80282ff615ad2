// Reader is a second reader of a shared pod, written from vault/FORMAT.md alone.
//
//	reader vectors TESTDATA               run every golden vector; print those that fail, and how many there were
//	reader items FOLDER IDENTITY [SIGNER] print the items of a pod folder, a line of JSON each
//	reader check FOLDER IDENTITY [SIGNER] print everything that is wrong with a pod folder, a line of JSON each
//	reader receipt INVITE [C] < RECEIPT   verify a receipt with the keys of an invite; print what it proves
//	reader schema FOLDER IDENTITY         print the tables, indexes and triggers of a vault
//
// IDENTITY, SIGNER and INVITE are names of files; SIGNER is a home's that joined another's pod. Exit code 1: something failed, with its kind on the last line of stderr.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	out := bufio.NewWriter(os.Stdout)
	isFine, err := run(os.Args[1:], out)
	out.Flush()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	if err != nil || !isFine {
		os.Exit(1)
	}
}

func run(arguments []string, out io.Writer) (bool, error) {
	if len(arguments) == 2 && arguments[0] == "vectors" {
		return printVectors(arguments[1], out)
	}
	if len(arguments) >= 2 && arguments[0] == "receipt" {
		return true, printReceipt(arguments[1:], out)
	}
	if len(arguments) != 3 && len(arguments) != 4 {
		return false, fmt.Errorf("usage: reader vectors|items|check|receipt|schema ...")
	}
	identity, err := loadIdentity(arguments[2:])
	if err != nil {
		return false, err
	}
	switch arguments[0] {
	case "items":
		return true, printItems(arguments[1], identity, out)
	case "check":
		return printFindings(arguments[1], identity, out)
	case "schema":
		return true, printSchema(arguments[1], identity, out)
	}
	return false, fmt.Errorf("%s is no command of the reader", arguments[0])
}

func loadIdentity(paths []string) (*Identity, error) {
	content, err := os.ReadFile(paths[0])
	if err != nil {
		return nil, err
	}
	secret, err := readIdentity(string(content), func() (string, error) {
		return "", refuse(WrongKey, "this identity needs a passphrase, and nobody is asked here")
	})
	if err != nil {
		return nil, err
	}
	identity, err := newIdentity(secret)
	if err != nil || len(paths) == 1 {
		return identity, err
	}
	trusted, err := os.ReadFile(paths[1])
	if err != nil {
		return nil, err
	}
	identity.Trusts, err = parseDigits(strings.TrimSuffix(string(trusted), "\n"))
	return identity, err
}

func printVectors(testdata string, out io.Writer) (bool, error) {
	count, failures, err := runVectors(testdata)
	for _, name := range sortedKeys(failures) {
		fmt.Fprintf(out, "%s: %s\n", name, failures[name])
	}
	fmt.Fprintf(out, "%d vectors, %d failed\n", count, len(failures))
	return len(failures) == 0, err
}

func printItems(folder string, identity *Identity, out io.Writer) error {
	vault, err := openVault(folder, identity, true)
	if err != nil {
		return err
	}
	if vault.Warning != "" {
		fmt.Fprintln(os.Stderr, "warning: "+vault.Warning)
	}
	items, err := vault.items()
	for _, item := range items {
		fmt.Fprintln(out, writeJSON(item))
	}
	return err
}

func printFindings(folder string, identity *Identity, out io.Writer) (bool, error) {
	findings, err := checkVault(folder, identity)
	for _, each := range findings {
		fmt.Fprintln(out, writeJSON(object{"subject": each.Subject, "says": each.Sentence}))
	}
	return len(findings) == 0, err
}

func printSchema(folder string, identity *Identity, out io.Writer) error {
	vault, err := openPair(folder, identity)
	if err != nil {
		return err
	}
	if err := vault.openFile(folder, true); err != nil {
		return err
	}
	rows, err := vault.Database.schema()
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	return encoder.Encode(rows)
}

func printReceipt(arguments []string, out io.Writer) error {
	link, err := os.ReadFile(arguments[0])
	if err != nil {
		return err
	}
	invite, err := readInvite(string(link))
	if err != nil {
		return err
	}
	wire, err := io.ReadAll(io.LimitReader(os.Stdin, maxReceiptCharacters+2))
	if err != nil {
		return err
	}
	if len(wire) > 0 && wire[len(wire)-1] == '\n' {
		wire = wire[:len(wire)-1]
	}
	receipt, err := readReceipt(string(wire))
	if err != nil {
		return err
	}
	trust := Trust{PodID: podID(invite.OwnerKey), VaultLogs: invite.VaultLogs, Functions: invite.Functions}
	if len(arguments) > 1 {
		if trust.C, err = parseDigits(arguments[1]); err != nil {
			return err
		}
	}
	proven, err := receipt.verify(trust)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, writeJSON(proven.members()))
	return nil
}
