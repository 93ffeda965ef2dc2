// The JavaScript SDK in node, as the conformance runner tells it: commands in, reports out, no expectations.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import * as sdk from '../../javascript/src/index.js';
import { CAN, makeAdapter } from './javascript_subject.mjs';

const report = (fields) => process.stdout.write(JSON.stringify(fields) + '\n');
const storage = {
  getItem: (path) => (existsSync(path) ? readFileSync(path, 'utf8') : null),
  setItem: (path, value) => writeFileSync(path, value),
};
const WebSocket = process.env.SWIM_WEBSOCKET ? (await import(process.env.SWIM_WEBSOCKET)).default : undefined;
const obey = makeAdapter({ sdk, report, storage, WebSocket });

report({ saw: 'ready', name: 'javascript', version: process.version, can: CAN });
for await (const line of createInterface({ input: process.stdin })) obey(JSON.parse(line));
process.exit(0);
