/** How long to wait before connecting again, in milliseconds. Pure: chance comes in as an argument. */

const STABLE_MS = 60_000;
const LONGEST_ADVICE_MS = 3_600_000;
const RETRY_MS = /\bretry_ms=([0-9]{1,9})\b/;

/** Exponential backoff with full jitter. */
export class Backoff {
  constructor(firstMs, maxMs, random = Math.random) {
    this.failures = 0;
    this._firstMs = firstMs;
    this._maxMs = maxMs;
    this._random = random;
  }

  /** Note a connection's end: only one that lasted a minute lets the waits begin from the start again. */
  ended(lastedMs) {
    if (lastedMs >= STABLE_MS) this.failures = 0;
  }

  /** How long to wait after an attempt that failed. */
  wait() {
    const ceiling = Math.min(this._maxMs, this._firstMs * 2 ** Math.min(this.failures, 30));
    this.failures += 1;
    return this._random() * ceiling;
  }

  /** How long to wait after a connection that was admitted: the server is there. Counts as a failure all the same. */
  waitAfterSession() {
    this.failures += 1;
    return this._random() * Math.min(this._firstMs, this._maxMs);
  }
}

/** Read `retry_ms=…` in a close reason; null: there is none. */
export function retryMs(reason) {
  const match = RETRY_MS.exec(reason ?? '');
  return match ? Math.min(Number(match[1]), LONGEST_ADVICE_MS) : null;
}

/** Read `retry_ms` in the data of an error; null: there is none. */
export function adviceMs(value) {
  return Number.isInteger(value) && value >= 0 ? Math.min(value, LONGEST_ADVICE_MS) : null;
}
