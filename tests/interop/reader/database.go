package main

import (
	"context"
	"database/sql"
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// FORMAT.md, "Tables": rows of the decrypted database, which is held in memory only.

//go:embed schema.json
var schemaJSON []byte

// SchemaRow is one row of sqlite_schema.
type SchemaRow struct {
	Type  string  `json:"type"`
	Name  string  `json:"name"`
	Table string  `json:"table"`
	SQL   *string `json:"sql"`
}

// Database is an open copy of a vault.
type Database struct {
	connection *sql.Conn
}

func openDatabase(plain []byte) (*Database, error) {
	pool, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return nil, err
	}
	connection, err := pool.Conn(context.Background())
	if err != nil {
		return nil, err
	}
	err = connection.Raw(func(driver any) error {
		return driver.(interface{ Deserialize([]byte) error }).Deserialize(plain)
	})
	if err != nil {
		return nil, err
	}
	return &Database{connection}, nil
}

// rows returns all rows of a SELECT whose columns have the named types: i, t, b, or B for a blob or NULL.
func (d *Database) rows(types, columns, rest string) ([][]any, error) {
	names := strings.Split(columns, ", ")
	query := "SELECT "
	for _, name := range names {
		query += fmt.Sprintf("typeof(%s), %s, ", name, name)
	}
	cursor, err := d.connection.QueryContext(context.Background(), strings.TrimSuffix(query, ", ")+" "+rest)
	if err != nil {
		return nil, refuse(Damaged, "the database: %v", err)
	}
	defer cursor.Close()
	found := [][]any{}
	for cursor.Next() {
		row, into := make([]any, 2*len(names)), make([]any, 2*len(names))
		for i := range row {
			into[i] = &row[i]
		}
		if err := cursor.Scan(into...); err != nil {
			return nil, refuse(Damaged, "the database: %v", err)
		}
		values := make([]any, len(names))
		for i := range names {
			if values[i], err = typed(types[i], row[2*i].(string), row[2*i+1]); err != nil {
				return nil, err
			}
		}
		found = append(found, values)
	}
	if err := cursor.Err(); err != nil {
		return nil, refuse(Damaged, "the database: %v", err)
	}
	return found, nil
}

// count returns how many rows a table and its condition give.
func (d *Database) count(rest string, arguments ...any) (int64, error) {
	var found int64
	row := d.connection.QueryRowContext(context.Background(), "SELECT count(*) FROM "+rest, arguments...)
	if err := row.Scan(&found); err != nil {
		return 0, refuse(Damaged, "the database: %v", err)
	}
	return found, nil
}

func typed(wanted byte, kind string, value any) (any, error) {
	switch {
	case wanted == 'i' && kind == "integer":
		return value.(int64), nil
	case wanted == 't' && kind == "text":
		return value.(string), nil
	case (wanted == 'b' || wanted == 'B') && kind == "blob":
		raw, _ := value.([]byte)
		return append([]byte{}, raw...), nil
	case wanted == 'B' && kind == "null":
		return []byte(nil), nil
	}
	return nil, refuse(Damaged, "a column holds a value of type %s", kind)
}

// checkSchema says whether every table, index and trigger is the format's, and nothing else is there.
func (d *Database) checkSchema() error {
	var expected []SchemaRow
	if err := json.Unmarshal(schemaJSON, &expected); err != nil {
		return err
	}
	found, err := d.schema()
	if err != nil {
		return err
	}
	if writeSchema(found) != writeSchema(expected) {
		return refuse(Damaged, "the tables and triggers are not those of format 1")
	}
	return nil
}

func (d *Database) schema() ([]SchemaRow, error) {
	query := "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name"
	cursor, err := d.connection.QueryContext(context.Background(), query)
	if err != nil {
		return nil, refuse(Damaged, "the database: %v", err)
	}
	defer cursor.Close()
	found := []SchemaRow{}
	for cursor.Next() {
		var row SchemaRow
		if err := cursor.Scan(&row.Type, &row.Name, &row.Table, &row.SQL); err != nil {
			return nil, refuse(Damaged, "the schema: %v", err)
		}
		found = append(found, row)
	}
	return found, cursor.Err()
}

func writeSchema(rows []SchemaRow) string {
	text, err := json.Marshal(rows)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// integrity returns what SQLite's own check says.
func (d *Database) integrity() ([]string, error) {
	cursor, err := d.connection.QueryContext(context.Background(), "PRAGMA integrity_check")
	if err != nil {
		return nil, refuse(Damaged, "the database: %v", err)
	}
	defer cursor.Close()
	found := []string{}
	for cursor.Next() {
		var line string
		if err := cursor.Scan(&line); err != nil {
			return nil, err
		}
		if line != "ok" {
			found = append(found, line)
		}
	}
	return found, cursor.Err()
}
