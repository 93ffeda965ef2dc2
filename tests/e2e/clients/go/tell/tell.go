// Package tell is what every client says on standard output: one JSON object a line; and what an event asks of it.
// A client is started as PROGRAM URL SUBSCRIBE BUSY_SECONDS.
package tell

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// URL and Subscribe are where to connect and what to send first.
var URL, Subscribe = os.Args[1], os.Args[2]

// Flood is beyond the 1 MiB at which the service closes with 1009.
var Flood = strings.Repeat("x", 1100000)

// Say prints one line.
func Say(name string, value any) {
	line, _ := json.Marshal(map[string]any{name: value})
	fmt.Println(string(line))
}

// Closed prints the line about the end.
func Closed(code int, reason string) {
	line, _ := json.Marshal(map[string]any{"close": code, "reason": reason})
	fmt.Println(string(line))
}

// Message prints a message and returns what it asks: flood, bye or nothing. It is busy itself.
func Message(text string) string {
	fmt.Println(`{"message":` + text + `}`)
	head := text[:min(500, len(text))]
	for _, word := range []string{"busy", "flood", "bye"} {
		if strings.Contains(head, `"do":"`+word+`"`) {
			if word == "busy" {
				seconds, _ := strconv.ParseFloat(os.Args[3], 64)
				time.Sleep(time.Duration(seconds * float64(time.Second)))
			}
			return word
		}
	}
	return ""
}
