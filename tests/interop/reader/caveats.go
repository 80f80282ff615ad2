package main

import (
	"encoding/json"
	"slices"
)

// FORMAT.md, "Slots": caveats.

// readCaveats returns a JSON object's caveats as the MP map has them; nil if one is unknown.
func readCaveats(members object) (mpMap, error) {
	found, isKnown := mpMap{}, true
	for name, value := range members {
		switch name {
		case "expires", "max_items", "max_bytes", "max_item_bytes":
			n, is := integerOf(value)
			if !is || n < 1 {
				return nil, refuse(Malformed, "the caveat %s is an integer from 1 on", name)
			}
			found[name] = n
		case "types":
			list, is := value.([]any)
			if !is || !isListOfTypes(list) {
				return nil, refuse(Malformed, "the caveat types is a sorted list of 1 to 256 types")
			}
			found[name] = list
		case "rate":
			rate, is := integersOf(value)
			if !is || len(rate) != 2 {
				return nil, refuse(Malformed, "the caveat rate is two integers")
			}
			found[name] = rate
		default:
			isKnown = false
		}
	}
	if !isKnown {
		return nil, nil
	}
	return found, nil
}

func isListOfTypes(list []any) bool {
	names := make([]string, 0, len(list))
	for _, each := range list {
		name, is := each.(string)
		if !is || !typePattern.MatchString(name) {
			return false
		}
		names = append(names, name)
	}
	isSorted := slices.IsSorted(names) && len(slices.Compact(slices.Clone(names))) == len(names)
	return isSorted && len(names) >= 1 && len(names) <= 256
}

func integersOf(value any) ([]any, bool) {
	list, is := value.([]any)
	found := []any{}
	for _, each := range list {
		literal, isNumber := each.(json.Number)
		n, isInteger := integerOf(literal)
		if !isNumber || !isInteger || n < 1 {
			return nil, false
		}
		found = append(found, n)
	}
	return found, is
}
