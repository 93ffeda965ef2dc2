// The library gorilla/websocket as its documentation uses it: one connection, its messages, and that is all.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"

	"github.com/gorilla/websocket"
)

type fields = map[string]any

var writing sync.Mutex

func write(report fields) {
	writing.Lock()
	defer writing.Unlock()
	text, _ := json.Marshal(report)
	fmt.Println(string(text))
}

// Subject is one client: where it connects, what it subscribes to, and what it reports of each message.
type subject struct {
	name, url, key string
	lock           sync.Mutex
	sending        sync.Mutex
	connection     *websocket.Conn
	subscription   fields
	rules          []fields
	isRunning      bool
	isStopped      bool
}

func (s *subject) report(report fields) {
	report["client"] = s.name
	write(report)
}

// Listen is what the library's documentation shows: dial, write, read until an error comes.
func (s *subject) listen() {
	connection, _, err := websocket.DefaultDialer.Dial(s.url, http.Header{"X-SWIM-API-Key": {s.key}})
	if err != nil {
		s.end("lost")
		return
	}
	defer connection.Close()
	s.lock.Lock()
	s.connection = connection
	subscription := s.subscription
	s.lock.Unlock()
	if subscription != nil {
		s.send(subscription)
	}
	for {
		_, text, err := connection.ReadMessage()
		if err != nil {
			var closed *websocket.CloseError
			report := fields{"saw": "disconnected", "code": nil, "reason": err.Error()}
			if errors.As(err, &closed) {
				report = fields{"saw": "disconnected", "code": closed.Code, "reason": closed.Text}
			}
			if !s.stopped() {
				s.report(report)
			}
			break
		}
		s.take(text)
	}
	s.end("lost")
}

func (s *subject) end(why string) {
	s.lock.Lock()
	if s.isStopped {
		why = "stopped"
	}
	s.isRunning, s.connection = false, nil
	s.lock.Unlock()
	s.report(fields{"saw": "ended", "why": why})
}

func (s *subject) stopped() bool {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.isStopped
}

func (s *subject) take(text []byte) {
	var message fields
	if json.Unmarshal(text, &message) != nil {
		return
	}
	kind, _ := message["type"].(string)
	data, _ := message["data"].(fields)
	if strings.Contains(kind, ".") {
		s.report(fields{"saw": "event", "type": kind, "id": message["id"], "data": message["data"]})
		kind = "event"
	} else {
		report := fields{}
		for name, value := range message {
			report[name] = value
		}
		for name, value := range data {
			report[name] = value
		}
		report["saw"] = kind
		s.report(report)
	}
	s.follow(kind, data)
}

func (s *subject) follow(kind string, data fields) {
	s.lock.Lock()
	rules := append([]fields{}, s.rules...)
	s.lock.Unlock()
	for _, rule := range rules {
		wanted, isNumbered := rule["n"]
		if rule["on"] == kind && (!isNumbered || wanted == data["n"]) && rule["then"] == "disconnect" {
			s.disconnect()
		}
	}
}

func (s *subject) send(message fields) {
	s.lock.Lock()
	connection := s.connection
	s.lock.Unlock()
	if connection != nil {
		s.sending.Lock()
		defer s.sending.Unlock()
		_ = connection.WriteJSON(message)
	}
}

func (s *subject) disconnect() {
	s.lock.Lock()
	s.isStopped = true
	connection, isRunning := s.connection, s.isRunning
	s.lock.Unlock()
	if connection != nil {
		s.sending.Lock()
		_ = connection.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""))
		s.sending.Unlock()
		connection.Close()
	} else if !isRunning {
		s.report(fields{"saw": "ended", "why": "stopped"})
	}
}

func (s *subject) obey(command fields) {
	switch command["do"] {
	case "connect":
		s.lock.Lock()
		wasRunning := s.isRunning
		s.isRunning, s.isStopped = true, false
		s.lock.Unlock()
		if !wasRunning {
			go s.listen()
		}
	case "disconnect":
		s.disconnect()
	case "when":
		s.lock.Lock()
		s.rules = append(s.rules, command)
		s.lock.Unlock()
	case "subscribe", "unsubscribe", "ping", "status":
		message := fields{"action": command["do"]}
		for name, value := range command {
			if name != "client" && name != "do" {
				message[name] = value
			}
		}
		s.lock.Lock()
		if command["do"] == "subscribe" && s.subscription == nil {
			s.subscription = message
		}
		s.lock.Unlock()
		s.send(message)
	}
}

func main() {
	write(fields{"saw": "ready", "name": "gorilla", "version": "1.5.3", "can": []string{"close_1012"}})
	subjects := map[string]*subject{}
	lines := bufio.NewReaderSize(os.Stdin, 1<<24)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		var command fields
		if json.Unmarshal([]byte(line), &command) != nil {
			continue
		}
		name, _ := command["client"].(string)
		if command["do"] == "create" {
			url, _ := command["url"].(string)
			key, _ := command["key"].(string)
			subjects[name] = &subject{name: name, url: url, key: key}
		} else {
			subjects[name].obey(command)
		}
	}
}
