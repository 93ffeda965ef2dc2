// gorilla/websocket.
package main

import (
	"clients/tell"
	"errors"
	"time"

	"github.com/gorilla/websocket"
)

func main() {
	dialer := *websocket.DefaultDialer
	dialer.EnableCompression = true
	c, _, err := dialer.Dial(tell.URL, nil)
	if err != nil {
		tell.Say("error", err.Error())
		return
	}
	defer c.Close()
	tell.Say("open", true)
	c.WriteMessage(websocket.TextMessage, []byte(tell.Subscribe))
	for {
		_, message, err := c.ReadMessage()
		if err != nil {
			tell.Say("error", err.Error())
			var closed *websocket.CloseError
			if errors.As(err, &closed) {
				tell.Closed(closed.Code, closed.Text)
			}
			return
		}
		switch tell.Message(string(message)) {
		case "flood":
			c.WriteMessage(websocket.TextMessage, []byte(tell.Flood))
		case "bye":
			bye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
			c.WriteControl(websocket.CloseMessage, bye, time.Now().Add(time.Second))
		}
	}
}
