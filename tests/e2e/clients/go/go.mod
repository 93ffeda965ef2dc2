module clients

go 1.23

require (
	github.com/coder/websocket v1.8.15
	github.com/gobwas/ws v1.4.0
	github.com/gorilla/websocket v1.5.3
	golang.org/x/net v0.30.0
	nhooyr.io/websocket v1.8.7
)

require (
	github.com/gobwas/httphead v0.1.0 // indirect
	github.com/gobwas/pool v0.2.1 // indirect
	github.com/klauspost/compress v1.10.3 // indirect
	golang.org/x/sys v0.26.0 // indirect
)
