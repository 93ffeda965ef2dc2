// What every client says on standard output: one JSON object a line. And what an event asks of it.
// A client is started as PROGRAM URL SUBSCRIBE BUSY_SECONDS.
const [, , url, subscribe, busySeconds] = process.argv;
const tell = (what) => process.stdout.write(JSON.stringify(what) + '\n');
const flood = 'x'.repeat(1100000); // beyond the 1 MiB at which the service closes with 1009

function message(text) {
  process.stdout.write(`{"message":${text}}\n`);
  return ['busy', 'flood', 'bye'].find((word) => text.slice(0, 500).includes(`"do":"${word}"`));
}

function block() {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, busySeconds * 1000);
}

module.exports = { url, subscribe, tell, message, block, flood };
