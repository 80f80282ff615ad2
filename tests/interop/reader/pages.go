package main

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha512"
	"encoding/binary"
)

// FORMAT.md, "The vault": SQLCipher 4's pages.

const (
	pageSize    = 4096
	saltBytes   = 16
	ivBytes     = 16
	hmacBytes   = 64
	sqliteMagic = "SQLite format 3\x00"
)

// pageCipher decrypts the pages of one file.
type pageCipher struct {
	block   cipher.Block
	hmacKey []byte
	size    int
}

func newPageCipher(fileKey, salt []byte, size int) (*pageCipher, error) {
	block, err := aes.NewCipher(fileKey)
	if err != nil {
		return nil, err
	}
	masked := make([]byte, saltBytes)
	for i := range masked {
		masked[i] = salt[i] ^ 0x3a
	}
	hmacKey, err := pbkdf2.Key(sha512.New, string(fileKey), masked, 2, 32)
	if err != nil {
		return nil, err
	}
	return &pageCipher{block, hmacKey, size}, nil
}

// decrypt returns a page as SQLite knows it; nil if its HMAC does not hold at this number.
func (c *pageCipher) decrypt(number uint32, page []byte) []byte {
	from := 0
	if number == 1 {
		from = saltBytes
	}
	content := c.size - ivBytes - hmacBytes
	mac := hmac.New(sha512.New, c.hmacKey)
	mac.Write(page[from : content+ivBytes])
	mac.Write(le32(number))
	if !hmac.Equal(mac.Sum(nil), page[content+ivBytes:]) {
		return nil
	}
	plain := make([]byte, c.size)
	iv := page[content : content+ivBytes]
	cipher.NewCBCDecrypter(c.block, iv).CryptBlocks(plain[from:content], page[from:content])
	if number == 1 {
		copy(plain, sqliteMagic)
	}
	return plain
}

// Image is the database that the file and its write-ahead log hold together.
type Image struct {
	Plain   []byte
	Altered []uint32 // pages whose HMAC does not hold; they are zeros in Plain
}

// readImage is steps 2 and 3 of "Opening".
func readImage(file, log []byte, fileKey []byte) (*Image, error) {
	wal := readWAL(log)
	if err := checkFirstPage(file, wal); err != nil {
		return nil, err
	}
	first := file[:min(pageSize, len(file))]
	newest := first
	if image, is := wal.pages[1]; is {
		newest = image
	}
	if len(newest) < pageSize {
		return nil, refuse(Truncated, "the vault ends inside its first page")
	}
	pages, err := newPageCipher(fileKey, newest[:saltBytes], pageSize)
	if err != nil {
		return nil, err
	}
	if pages.decrypt(1, newest) == nil {
		return nil, refuse(WrongKey, "wrong key or damaged first page")
	}
	if !bytes.Equal(first[:saltBytes], newest[:saltBytes]) {
		return nil, refuse(Damaged, "the file's salt is not the one of its log")
	}
	return decryptAll(file, wal, pages)
}

func checkFirstPage(file []byte, wal *WAL) error {
	switch {
	case len(file) == 0:
		return refuse(EmptyFile, "the vault is empty")
	case bytes.HasPrefix(file, []byte(sqliteMagic)):
		return refuse(Plaintext, "the vault is an unencrypted database")
	}
	if len(file)%pageSize != 0 {
		if _, isWhole := wal.pages[uint32(len(file)/pageSize+1)]; !isWhole {
			return refuse(Truncated, "the vault ends inside a page")
		}
	}
	return nil
}

func decryptAll(file []byte, wal *WAL, pages *pageCipher) (*Image, error) {
	count := uint32(len(file) / pageSize)
	if wal.size > 0 {
		if count > wal.size {
			return nil, refuse(Torn, "the file is larger than its log says")
		}
		count = wal.size
	}
	image := &Image{}
	if !wal.hasFrame {
		if wanted := countedPages(pages.decrypt(1, file[:pageSize])); count < wanted {
			return nil, refuse(Truncated, "the vault ends after page %d of %d", count, wanted)
		}
	}
	for number := uint32(1); number <= count; number++ {
		page, isInLog := wal.pages[number]
		if at := int(number-1) * pageSize; !isInLog {
			if at+pageSize > len(file) {
				return nil, refuse(Torn, "page %d is in neither file nor log: they are of different times", number)
			}
			page = file[at : at+pageSize]
		}
		plain := pages.decrypt(number, page)
		if plain == nil {
			image.Altered, plain = append(image.Altered, number), make([]byte, pageSize)
		}
		image.Plain = append(image.Plain, plain...)
	}
	// A database in memory has no log: 1 stands for "rollback journal" (SQLite file format 1.3.3).
	image.Plain[18], image.Plain[19] = 1, 1
	return image, nil
}

// countedPages is how many pages page 1 counts (SQLite file format 1.3.7); 0 if its count is not valid.
func countedPages(first []byte) uint32 {
	if !bytes.Equal(first[24:28], first[92:96]) {
		return 0
	}
	return binary.BigEndian.Uint32(first[28:32])
}
