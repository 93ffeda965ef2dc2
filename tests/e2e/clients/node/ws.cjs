// ws
const WebSocket = require('ws');
const { url, subscribe, tell, message, block, flood } = require('./tell.cjs');

const socket = new WebSocket(url);
socket.on('open', () => { tell({ open: true }); socket.send(subscribe); });
socket.on('message', (data) => {
  switch (message(data.toString())) {
    case 'busy': block(); break;
    case 'flood': socket.send(flood); break;
    case 'bye': socket.close(1000); break;
  }
});
socket.on('error', (error) => tell({ error: error.message }));
socket.on('close', (code, reason) => tell({ close: code, reason: reason.toString() }));
