// gobwas/ws, by its wsutil. Dial may have read the first messages already: they are in its second value, which the
// example of its own front page throws away.
package main

import (
	"clients/tell"
	"context"
	"errors"
	"io"
	"net"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

func main() {
	conn, early, _, err := ws.Dial(context.Background(), tell.URL)
	if err != nil {
		tell.Say("error", err.Error())
		return
	}
	defer conn.Close()
	if early != nil {
		conn = buffered{conn, early}
	}
	tell.Say("open", true)
	wsutil.WriteClientText(conn, []byte(tell.Subscribe))
	for {
		message, err := wsutil.ReadServerText(conn)
		if err != nil {
			tell.Say("error", err.Error())
			var closed wsutil.ClosedError
			if errors.As(err, &closed) {
				tell.Closed(int(closed.Code), closed.Reason)
			}
			return
		}
		switch tell.Message(string(message)) {
		case "flood":
			wsutil.WriteClientText(conn, []byte(tell.Flood))
		case "bye":
			wsutil.WriteClientMessage(conn, ws.OpClose, ws.NewCloseFrameBody(ws.StatusNormalClosure, ""))
		}
	}
}

type buffered struct {
	net.Conn
	early io.Reader
}

func (b buffered) Read(into []byte) (int, error) { return b.early.Read(into) }
