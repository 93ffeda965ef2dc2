// github.com/coder/websocket, with compression asked for (it is off by default).
package main

import (
	"clients/tell"
	"context"
	"errors"

	"github.com/coder/websocket"
)

func main() {
	ctx := context.Background()
	c, _, err := websocket.Dial(ctx, tell.URL, &websocket.DialOptions{CompressionMode: websocket.CompressionContextTakeover})
	if err != nil {
		tell.Say("error", err.Error())
		return
	}
	tell.Say("open", true)
	c.Write(ctx, websocket.MessageText, []byte(tell.Subscribe))
	for {
		_, message, err := c.Read(ctx)
		if err != nil {
			tell.Say("error", err.Error())
			var closed websocket.CloseError
			if errors.As(err, &closed) {
				tell.Closed(int(closed.Code), closed.Reason)
			}
			return
		}
		switch tell.Message(string(message)) {
		case "flood":
			c.Write(ctx, websocket.MessageText, []byte(tell.Flood))
		case "bye":
			c.Close(websocket.StatusNormalClosure, "")
		}
	}
}
