package main

import "strings"

// FORMAT.md, "Properties and views".

const maxDeclared = 512

var valueTypes = map[string]bool{"Text": true, "Integer": true, "Real": true, "Bool": true, "DateTime": true}

var reservedNames = map[string]bool{
	"rowid": true, "id": true, "type": true, "datecreated": true, "datemodified": true, "dateservermodified": true,
	"deleted": true, "source": true, "target": true, "edges": true, "alledges": true, "forwardedges": true,
	"reverseedges": true, "backwardedges": true,
}

// canBeDeclared says whether a property may have this name.
func canBeDeclared(name string) bool {
	return typePattern.MatchString(name) && !reservedNames[strings.ToLower(name)]
}

// openView returns what a slot declared itself; view is nil for NULL.
func openView(view, viewKey, podID []byte, slot uint32) (mpMap, error) {
	if view == nil {
		return mpMap{}, nil
	}
	plaintext := openBox(viewKey, view, pae([]byte("view/v1"), podID, le32(slot)))
	if plaintext == nil {
		return nil, refuse(Damaged, "the view of slot %d does not open", slot)
	}
	own, err := readMP(plaintext)
	if err != nil {
		return nil, as(Damaged, err)
	}
	if len(own) > maxDeclared {
		return nil, refuse(Damaged, "the view of slot %d has more than 512 names", slot)
	}
	for name, kind := range own {
		text, is := kind.(string)
		if !is || !valueTypes[text] || !canBeDeclared(name) {
			return nil, refuse(Damaged, "the view of slot %d holds what cannot be declared", slot)
		}
	}
	return own, nil
}
