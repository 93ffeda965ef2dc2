// node's ws, where it is installed: prints its port and takes lines "send FIRST COUNT SIZE", one send an event.
import readline from 'node:readline'
const { WebSocketServer } = await import('ws')
const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false, backlog: 4096 }, () =>
  console.log(server.address().port))
server.on('connection', (client) => { client.on('error', () => {}); client.send('{"type":"connected"}') })
readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const [, first, count, size] = line.split(' ').map(Number)
  for (let number = 0; number < count; number++) {
    const at = 10n ** 18n + process.hrtime.bigint()
    const text = `{"type":"flight.created","timestamp":"2026-01-16T14:30:15.123Z","id":"1768573815123-0","data":{"dep":"KJFK",` +
      `"route":"${'x'.repeat(Math.max(size - 190, 1))}","seq":${1e9 + first + number},"at":${at}}}`
    for (const client of server.clients) client.send(text)
  }
}).on('close', () => process.exit())
