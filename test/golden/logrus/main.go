// Prints log lines as logrus' formatters do, for log_test.py to compare with
// daemon/log.c. Each line of standard input is a record: the format, the level
// (a number from 0, debug, to 3, error), the Unix time, and in hexadecimal, each
// behind an x, the message, and key and value of each field.
//
// With -table it prints what stands in daemon/unicode.c instead: the characters at
// which strconv.IsPrint, and so Go's %q, changes its mind.
package main

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
)

var levels = []logrus.Level{logrus.DebugLevel, logrus.InfoLevel,
	logrus.WarnLevel, logrus.ErrorLevel}

var formatters = map[string]logrus.Formatter{
	"text": &logrus.TextFormatter{},
	"json": &logrus.JSONFormatter{},
}

func text(word string) string {
	bytes, err := hex.DecodeString(strings.TrimPrefix(word, "x"))
	if err != nil {
		log.Fatal(err)
	}
	return string(bytes)
}

func number(word string) int64 {
	n, err := strconv.ParseInt(word, 10, 64)
	if err != nil {
		log.Fatal(err)
	}
	return n
}

func printRecords() {
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<20)
	logger := logrus.New()
	logger.Out = out
	for in.Scan() {
		words := strings.Fields(in.Text())
		entry := logrus.NewEntry(logger)
		entry.Level = levels[number(words[1])]
		entry.Time = time.Unix(number(words[2]), 0).UTC()
		entry.Message = text(words[3])
		for i := 4; i < len(words); i += 2 {
			entry.Data[text(words[i])] = text(words[i+1])
		}
		line, err := formatters[words[0]].Format(entry)
		if err != nil {
			log.Fatal(err)
		}
		out.Write(line)
	}
}

func printTable() {
	printable, count := false, 0
	for r := rune(0); r <= 0x10ffff; r++ {
		if strconv.IsPrint(r) == printable {
			continue
		}
		printable = !printable
		if count%10 == 0 {
			fmt.Print("\t")
		}
		count++
		fmt.Printf("0x%04x,", r)
		if count%10 == 0 {
			fmt.Println()
		} else {
			fmt.Print(" ")
		}
	}
	fmt.Println()
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "-table" {
		printTable()
	} else {
		printRecords()
	}
}
