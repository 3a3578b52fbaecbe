// Package job is what the Go programs of the interop suite share: a job comes in as JSON on the
// first line of standard input, and what happened goes out as one JSON object a line. A program
// ends with 1 and says why on standard error when its client says that something failed. The other
// side is test/interop/foreign/driver.ts.
package job

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
)

// Header of a record; a nil value is null.
type Header struct {
	Key   string `json:"key"`
	Value []byte `json:"value"`
}

// Record as it is written and as it was read; nil keys and values are null.
type Record struct {
	Topic     string   `json:"topic"`
	Partition int32    `json:"partition"`
	Offset    int64    `json:"offset"`
	Timestamp int64    `json:"timestamp"`
	Key       []byte   `json:"key"`
	Value     []byte   `json:"value"`
	Headers   []Header `json:"headers"`
}

// Load is what goes to a topic with one codec.
type Load struct {
	Topic   string   `json:"topic"`
	Codec   string   `json:"codec"`
	Records []Record `json:"records"`
}

// Job says what a program is to do; each command reads what it needs of it.
type Job struct {
	Bootstrap       string   `json:"bootstrap"`
	Loads           []Load   `json:"loads"`
	Topics          []string `json:"topics"`
	Topic           string   `json:"topic"`
	Output          string   `json:"output"`
	Group           string   `json:"group"`
	Assignor        string   `json:"assignor"`
	TransactionalID string   `json:"transactionalId"`
	Count           int      `json:"count"`
}

// Commands of a program, by name.
type Commands map[string]func(Job) error

var output = struct {
	sync.Mutex
	lines *json.Encoder
}{lines: json.NewEncoder(os.Stdout)}

var input = bufio.NewReader(os.Stdin)

// Emit writes one line of output; several goroutines may call it.
func Emit(value any) {
	output.Lock()
	defer output.Unlock()
	if err := output.lines.Encode(value); err != nil {
		fail(err)
	}
}

// Run does the job of the command that the program was started with.
func Run(commands Commands) {
	if len(os.Args) != 2 || commands[os.Args[1]] == nil {
		fail(fmt.Errorf("usage: %s COMMAND, with the job on standard input", os.Args[0]))
	}
	line, err := input.ReadBytes('\n')
	if err != nil {
		fail(err)
	}
	var job Job
	if err := json.Unmarshal(line, &job); err != nil {
		fail(err)
	}
	if err := commands[os.Args[1]](job); err != nil {
		fail(err)
	}
}

// ToldToEnd is closed when standard input ends: a member is to leave its group.
func ToldToEnd() <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, input)
		close(ended)
	}()
	return ended
}

// Position is a topic and a partition.
type Position struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
}

// Assigned tells which partitions a member has, all in all.
func Assigned(positions []Position) {
	if positions == nil {
		positions = []Position{}
	}
	Emit(map[string]any{"event": "assigned", "partitions": positions})
}

// Consumed tells of a record.
func Consumed(record Record) {
	Emit(map[string]any{"event": "record", "record": record})
}

// Numbered is the value of the record of that number in a stream.
func Numbered(number int) []byte {
	return []byte(strconv.Itoa(number))
}

// Acked tells how many records of a stream have been acknowledged.
func Acked(count int) {
	Emit(map[string]any{"event": "acked", "count": count})
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
