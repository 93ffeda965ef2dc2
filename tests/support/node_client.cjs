// A client on node's `ws`: does what its one argument says, prints what it sees as JSON lines.
// {url, headers?, options?, steps: [{send: …} | {raw: …} | {binary: …} | {ping: true} | {until: TYPE, count?} | {close: CODE} | {end: true}]}
const WebSocket = require('ws');
const { url, headers, options, steps } = JSON.parse(process.argv[2]);
const say = (what) => process.stdout.write(JSON.stringify(what) + '\n');

const socket = new WebSocket(url, { headers, handshakeTimeout: 10000, ...options });
const received = [];

function until(type, count = 1) {
  const wanted = () => received.filter((m) => m.type === type || m.code === type).length >= count;
  return new Promise((resolve) => {
    const look = () => (wanted() ? resolve() : setTimeout(look, 5));
    look();
  });
}

socket.on('open', async () => {
  say({ open: true, extensions: socket.extensions, protocol: socket.protocol });
  for (const step of steps) {
    if ('send' in step) socket.send(JSON.stringify(step.send));
    else if ('raw' in step) socket.send(step.raw);
    else if ('binary' in step) socket.send(Buffer.from(step.binary));
    else if ('fragments' in step) step.fragments.forEach((part, i) => socket.send(part, { fin: i === step.fragments.length - 1 }));
    else if ('ping' in step) socket.ping('are you there');
    else if ('until' in step) await until(step.until, step.count);
    else if ('close' in step) socket.close(step.close, 'bye');
    else if ('end' in step) return;
  }
});
socket.on('message', (data, isBinary) => {
  const message = isBinary ? { type: 'binary' } : JSON.parse(data.toString());
  received.push(message);
  say({ message });
});
socket.on('pong', (data) => say({ pong: data.toString() }));
socket.on('ping', () => say({ ping: true }));
socket.on('unexpected-response', (request, response) => { say({ status: response.statusCode }); process.exit(0); });
socket.on('error', (error) => say({ error: error.message }));
socket.on('close', (code, reason) => say({ close: code, reason: reason.toString() }));
setTimeout(() => { say({ error: 'nothing happened for too long' }); process.exit(1); }, 30000).unref();
