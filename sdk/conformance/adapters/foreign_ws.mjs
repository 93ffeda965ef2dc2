// The package ws as its documentation uses it: one connection, its messages, and that is all.
import { createInterface } from 'node:readline';

const { default: WebSocket } = await import(process.argv[2]);
const write = (fields) => process.stdout.write(JSON.stringify(fields) + '\n');
const subjects = new Map();

function connect(subject) {
  const ws = (subject.ws = new WebSocket(subject.url, { headers: { 'X-SWIM-API-Key': subject.key } }));
  ws.on('open', () => subject.subscription && ws.send(subject.subscription));
  ws.on('message', (text) => {
    try {
      take(subject, JSON.parse(text));
    } catch (error) {
      subject.failure = error.name; // it would end the program
      ws.terminate();
    }
  });
  ws.on('error', () => {});
  ws.on('close', (code, reason) => {
    report(subject, { saw: 'disconnected', code, reason: String(reason) });
    report(subject, { saw: 'ended', why: subject.failure ?? (subject.isStopping ? 'stopped' : 'lost') });
  });
}

function take(subject, message) {
  const isEvent = message.type.includes('.');
  const data = message.data ?? {};
  if (isEvent) report(subject, { saw: 'event', type: message.type, id: message.id ?? null, data });
  else report(subject, { ...message, ...data, saw: message.type });
  for (const rule of subject.rules) {
    const isMeant = rule.on === (isEvent ? 'event' : message.type) && (!('n' in rule) || rule.n === data.n);
    if (isMeant && rule.then === 'disconnect') stop(subject);
  }
}

function stop(subject) {
  if (!subject.ws || subject.isStopping) return;
  subject.isStopping = true;
  subject.ws.close(1000);
}

const report = (subject, fields) => write({ ...fields, client: subject.name });

write({ saw: 'ready', name: 'ws', version: process.version, can: ['close_1012'] });
for await (const line of createInterface({ input: process.stdin })) {
  const { client, do: what, ...fields } = JSON.parse(line);
  const subject = subjects.get(client);
  if (what === 'create') subjects.set(client, { name: client, url: fields.url, key: fields.key, rules: [] });
  else if (what === 'connect') connect(subject);
  else if (what === 'disconnect' && subject.ws && subject.ws.readyState < 3) stop(subject);
  else if (what === 'disconnect') report(subject, { saw: 'ended', why: 'stopped' });
  else if (what === 'when') subject.rules.push(fields);
  else {
    const text = JSON.stringify({ action: what, ...fields });
    if (what === 'subscribe') subject.subscription ??= text;
    if (subject.ws?.readyState === 1) subject.ws.send(text);
  }
}
process.exit(0);
