package main

import (
	"bytes"
	"encoding/hex"
	"strconv"
)

// FORMAT.md, "Witnesses".

const maxWitnessBytes = 65536

// Witness is a checkpoint that was kept apart from a server.
type Witness struct {
	Epoch, Size uint64
	Root        []byte
}

// readWitness accepts a checkpoint of any epoch of a pod's log, as a file or a scanner gives it.
func readWitness(content, podID []byte, keys [][]byte) (*Witness, error) {
	if len(content) > maxWitnessBytes {
		return nil, refuse(Malformed, "a file with a checkpoint has at most 65536 bytes")
	}
	note := bytes.ReplaceAll(bytes.TrimRight(content, " \t\n\v\f\r"), []byte("\r\n"), []byte("\n"))
	found, err := readCheckpoint(append(note, '\n'))
	if err != nil {
		return nil, err
	}
	half, epoch, err := epochOf(found.Origin)
	if err != nil {
		return nil, err
	}
	if half != hex.EncodeToString(podID)[:32] {
		return nil, refuse(ForeignPod, "a checkpoint of another pod")
	}
	return &Witness{epoch, found.Size, found.Root}, found.verify(keys)
}

// holdsWitness accepts a witness that a vault in an epoch holds, whose log has these leaves and which keeps
// these last checkpoints of earlier epochs.
func holdsWitness(witness *Witness, epoch uint64, leaves [][]byte, ends map[uint64]uint64) error {
	if witness.Epoch > epoch {
		return refuse(Rollback, "the vault is of an earlier epoch")
	}
	most := uint64(len(leaves))
	for at := witness.Epoch; at < epoch; at++ {
		most = min(most, ends[at])
	}
	if witness.Size > most {
		return refuse(Rollback, "the vault lacks batches")
	}
	if !bytes.Equal(rootOf(leaves[:witness.Size]), witness.Root) {
		return refuse(Rollback, "the log is another")
	}
	return nil
}

func init() {
	runners["witnesses/files"] = func(v Vector) (object, error) {
		found, err := readWitness([]byte(v.text("content")), v.bytes("pod_id"), v.list("log_keys"))
		if err != nil {
			return nil, err
		}
		return object{"witness": object{"epoch": found.Epoch, "size": found.Size, "root": toHex(found.Root)}}, nil
	}
	runners["witnesses/held"] = func(v Vector) (object, error) {
		leaves, ends := [][]byte{}, map[uint64]uint64{}
		for _, data := range v.list("leaves") {
			leaves = append(leaves, leafHash(data))
		}
		for name, note := range v.object["ends"].(object) {
			epoch, err := strconv.ParseUint(name, 10, 64)
			if err != nil {
				return nil, err
			}
			end, err := readCheckpoint([]byte(note.(string)))
			if err != nil {
				return nil, err
			}
			ends[epoch] = end.Size
		}
		given := Vector{v.object["witness"].(object), v.folder}
		witness := &Witness{uint64(given.integer("epoch")), uint64(given.integer("size")), given.bytes("root")}
		return nil, holdsWitness(witness, uint64(v.integer("epoch")), leaves, ends)
	}
}
