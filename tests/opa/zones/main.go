// Writes the time zones that policies can name as one table, from Go's archive, which
// OPA contains:
//
//	go run ./zones "$(go env GOROOT)/lib/time/zoneinfo.zip" ../../rego/src/builtins/time/zones.bin
//
// The table is the number of zones, for each its name and where its data begin, and the data, one copy for all
// zones that agree. rego/src/builtins/time/zones.rs reads it. All numbers are little-endian.
package main

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"sort"
)

const nameLength = 32

func main() {
	if len(os.Args) != 3 {
		fail(fmt.Errorf("two paths are needed: of the archive, and of the table"))
	}
	archive, err := zip.OpenReader(os.Args[1])
	fail(err)
	defer archive.Close()
	zones := map[string][]byte{}
	var names []string
	for _, file := range archive.File {
		if file.FileInfo().IsDir() {
			continue
		}
		reader, err := file.Open()
		fail(err)
		raw, err := io.ReadAll(reader)
		fail(err)
		zones[file.Name] = convert(raw)
		names = append(names, file.Name)
	}
	sort.Strings(names)

	var index, data bytes.Buffer
	places := map[string]uint32{}
	put(&index, uint16(len(names)))
	for _, name := range names {
		if len(name) > nameLength {
			fail(fmt.Errorf("the name %s is too long", name))
		}
		zone := zones[name]
		place, known := places[string(zone)]
		if !known {
			place = uint32(data.Len())
			places[string(zone)] = place
			data.Write(zone)
		}
		index.WriteString(name)
		index.Write(make([]byte, nameLength-len(name)))
		put(&index, place)
	}
	fail(os.WriteFile(os.Args[2], append(index.Bytes(), data.Bytes()...), 0o644))
}

// A zone of RFC 9636: its second part, which has times of 64 bits.
func convert(raw []byte) []byte {
	counts := func(header []byte) (n [6]int) {
		for i := range n {
			n[i] = int(binary.BigEndian.Uint32(header[20+4*i:]))
		}
		return n
	}
	const utc, standard, leap, times, types, letters = 0, 1, 2, 3, 4, 5
	n := counts(raw)
	raw = raw[44+n[times]*5+n[types]*6+n[letters]+n[leap]*8+n[standard]+n[utc]:]
	n = counts(raw)
	raw = raw[44:]
	cut := func(length int) []byte {
		part := raw[:length]
		raw = raw[length:]
		return part
	}
	begins, kinds := cut(8*n[times]), cut(n[times])
	definitions, names := cut(6*n[types]), cut(n[letters])
	cut(n[leap]*12 + n[standard] + n[utc])
	rule := bytes.Trim(raw, "\n")

	var out bytes.Buffer
	out.WriteByte(byte(first(kinds, definitions)))
	out.WriteByte(byte(n[types]))
	for i := range n[types] {
		definition := definitions[6*i:]
		put(&out, int32(binary.BigEndian.Uint32(definition)))
		out.WriteByte(definition[5])
	}
	if n[times] == 0 {
		put(&out, uint16(1))
		put(&out, int64(math.MinInt64))
		out.WriteByte(0)
	} else {
		put(&out, uint16(n[times]))
		for i := range n[times] {
			put(&out, int64(binary.BigEndian.Uint64(begins[8*i:])))
		}
		out.Write(kinds)
	}
	out.WriteByte(byte(len(names)))
	out.Write(names)
	out.WriteByte(byte(len(rule)))
	out.Write(rule)
	return out.Bytes()
}

// The kind of time before the first change, as Go chooses it.
func first(kinds, definitions []byte) int {
	isSummer := func(kind int) bool { return definitions[6*kind+4] != 0 }
	if !bytes.Contains(kinds, []byte{0}) {
		return 0
	}
	if isSummer(int(kinds[0])) {
		for kind := int(kinds[0]) - 1; kind >= 0; kind-- {
			if !isSummer(kind) {
				return kind
			}
		}
	}
	for kind := range len(definitions) / 6 {
		if !isSummer(kind) {
			return kind
		}
	}
	return 0
}

func put(out *bytes.Buffer, number any) {
	fail(binary.Write(out, binary.LittleEndian, number))
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
