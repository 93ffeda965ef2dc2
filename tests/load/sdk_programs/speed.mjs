// The JavaScript SDK under load: reads commands of `sdk_speed.py`, reports what its handlers saw.
const [mode, url, total, path] = process.argv.slice(2);
const { SwimWebSocketClient } = await import(path);
const count = Number(total);
const tell = (fields) => process.stdout.write(JSON.stringify(fields) + '\n');
const client = new SwimWebSocketClient('swim_dev_0123456789abcdefghijklmnopqrstuvwxyzAB', { wsUrl: url, reconnectInterval: 50, maxQueuedEvents: 1e6 });
const latencies = [];
let seen = 0;
let first = 0;
client.on('flight.*', (data) => {
  if (seen % count === 0) first = performance.now();
  seen += 1;
  if (!data.callsign) throw new Error('an event without a callsign');
  if (mode === 'latency') latencies.push((performance.timeOrigin + performance.now()) * 1000 - data.sent_us);
  if (seen % count === 0) tell({ seconds: (performance.now() - first) / 1000, latencies });
});
client.on('subscribed', () => tell({ subscribed: true }));
client.flights.onChange(() => {
  if (mode === 'mirror' && client.flights.size === count) tell({ mirrored: client.flights.size });
});
client.subscribe(['flight.*'], {}, { state: mode === 'mirror' });
client.connect();
process.stdin.on('end', () => process.exit(0)).resume();
