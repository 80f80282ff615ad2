package main

import (
	"errors"
	"fmt"
)

// Kind is a kind of error of FORMAT.md. The sentence beside it is ours.
type Kind string

// The kinds that reading can give; each is named in FORMAT.md where its rule is.
const (
	Malformed     Kind = "MalformedError"
	Item          Kind = "ItemError"
	Missing       Kind = "MissingError"
	WrongKey      Kind = "WrongKeyError"
	ForeignPod    Kind = "ForeignPodError"
	FormatTooNew  Kind = "FormatTooNewError"
	FormatTooOld  Kind = "FormatTooOldError"
	Damaged       Kind = "DamagedError"
	EmptyFile     Kind = "EmptyFileError"
	Plaintext     Kind = "PlaintextError"
	Truncated     Kind = "TruncatedError"
	Torn          Kind = "TornError"
	Rollback      Kind = "RollbackError"
	Policy        Kind = "PolicyError"
	Storage       Kind = "StorageError"
	notOurs       Kind = "" // an error that no rule of the format accounts for: a fault of this program
	maxInt63           = 1<<63 - 1
	hashBytes          = 32
	signatureSize      = 64
)

// Refusal is why something was not read.
type Refusal struct {
	Kind     Kind
	Sentence string
}

func (r *Refusal) Error() string { return string(r.Kind) + ": " + r.Sentence }

func refuse(kind Kind, sentence string, arguments ...any) error {
	return &Refusal{kind, fmt.Sprintf(sentence, arguments...)}
}

// kindOf returns the kind of an error, or notOurs.
func kindOf(err error) Kind {
	var refusal *Refusal
	if errors.As(err, &refusal) {
		return refusal.Kind
	}
	return notOurs
}

// as gives a refusal another kind where the format says so: what does not parse in a vault that is opened
// is damage. The kinds that are listed stay what they are.
func as(kind Kind, err error, kept ...Kind) error {
	if err == nil {
		return nil
	}
	found := kindOf(err)
	if found == notOurs {
		return err
	}
	for _, each := range kept {
		if each == found {
			return err
		}
	}
	return refuse(kind, "%s", err.(*Refusal).Sentence)
}
