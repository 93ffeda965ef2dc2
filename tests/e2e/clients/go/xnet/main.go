// golang.org/x/net/websocket.
package main

import (
	"clients/tell"

	"golang.org/x/net/websocket"
)

func main() {
	ws, err := websocket.Dial(tell.URL, "", "http://localhost/")
	if err != nil {
		tell.Say("error", err.Error())
		return
	}
	tell.Say("open", true)
	websocket.Message.Send(ws, tell.Subscribe)
	for {
		var message string
		if err := websocket.Message.Receive(ws, &message); err != nil {
			tell.Say("error", err.Error())
			return
		}
		switch tell.Message(message) {
		case "flood":
			websocket.Message.Send(ws, tell.Flood)
		case "bye":
			ws.Close()
		}
	}
}
