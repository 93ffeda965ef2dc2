/** The requests of one connection, one at a time, so that an error belongs to the one that waits. */

import { RequestRefused } from './errors.js';

const PER_SECOND = 8;
const ANSWER_MS = 30_000;
const RATE_LIMITED_MS = 1_100;

export class Requests {
  /** `send` puts a message on the wire. */
  constructor(send, timers) {
    this._send = send;
    this._timers = timers;
    this._sent = [];
    this._tail = Promise.resolve();
    this._waiting = null;
    this._isClosed = false;
  }

  /**
   * Send one request and wait for its answer: the message, a RequestRefused, or null when none came in time or the
   * connection ended.
   */
  ask(message, answerType) {
    const answer = this._tail.then(() => this._ask(message, answerType));
    this._tail = answer;
    return answer;
  }

  async _ask(message, answerType) {
    for (;;) {
      await this._turn();
      if (this._isClosed) return null;
      const answer = await new Promise((resolve) => {
        const timer = this._timers.set(() => this._settle(null), ANSWER_MS);
        this._waiting = { answerType, resolve, timer };
        this._send(message);
      });
      if (!(answer instanceof RequestRefused) || answer.code !== 'RATE_LIMITED') return answer;
      await this._timers.sleep(RATE_LIMITED_MS);
    }
  }

  /** Send without waiting for an answer, at once. */
  sendNow(message) {
    this._sent.push(this._timers.now());
    this._send(message);
  }

  async _turn() {
    for (;;) {
      const now = this._timers.now();
      this._sent = this._sent.filter((at) => now - at < 1_000);
      if (this._sent.length < PER_SECOND || this._isClosed) break;
      await this._timers.sleep(this._sent[0] + 1_000 - now);
    }
    this._sent.push(this._timers.now());
  }

  /** Take an answer. */
  answered(type, message) {
    if (this._waiting?.answerType === type) this._settle(message);
  }

  /** Take an error. Returns whether it belongs to a request that waits. */
  refused(error) {
    if (!this._waiting) return false;
    this._settle(error);
    return true;
  }

  /** End: whoever waits gets null. */
  close() {
    this._isClosed = true;
    this._settle(null);
  }

  _settle(value) {
    const waiting = this._waiting;
    if (!waiting) return;
    this._waiting = null;
    this._timers.clear(waiting.timer);
    waiting.resolve(value);
  }
}

/** Timers of one connection or client; all of them end together. */
export class Timers {
  constructor() {
    this._live = new Map();
  }

  /** Milliseconds of a clock that nobody sets. */
  now() {
    return performance.now();
  }

  set(action, ms) {
    const timer = setTimeout(() => {
      this._live.delete(timer);
      action();
    }, ms);
    this._live.set(timer, null);
    return timer;
  }

  clear(timer) {
    clearTimeout(timer);
    this._live.delete(timer);
  }

  /** Wait; an end of the timers ends the wait early. */
  sleep(ms) {
    return new Promise((resolve) => {
      this._live.set(this.set(resolve, ms), resolve);
    });
  }

  end() {
    for (const [timer, resolve] of [...this._live]) {
      this.clear(timer);
      resolve?.();
    }
  }
}
