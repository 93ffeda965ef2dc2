// The WebSocket of browsers: node's own, or that of undici, faye-websocket or websocket (npm), named by the fourth word.
const { url, subscribe, tell, message, block, flood } = require('./tell.cjs');

const WebSocket = {
  node: () => globalThis.WebSocket,
  undici: () => require('undici').WebSocket,
  faye: () => require('faye-websocket').Client,
  websocket: () => require('websocket').w3cwebsocket,
}[process.argv[5]]();

const socket = new WebSocket(url);
socket.onopen = () => { tell({ open: true }); socket.send(subscribe); };
socket.onmessage = (event) => {
  switch (message(event.data)) {
    case 'busy': block(); break;
    case 'flood': socket.send(flood); break;
    case 'bye': socket.close(1000); break;
  }
};
socket.onerror = (event) => tell({ error: event.message || event.error?.message || 'error' });
socket.onclose = (event) => tell({ close: event.code, reason: event.reason, clean: event.wasClean });
