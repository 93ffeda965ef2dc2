/** One connection from its opening to its end: greeting, the one subscribe, requests, resuming, signs of life. */

import { adviceMs } from './backoff.js';
import { RequestRefused } from './errors.js';
import { isAfter, parseId } from './position.js';
import { Requests } from './requests.js';
import { merge } from './subscriptions.js';

const ANSWERS = new Set(['subscribed', 'unsubscribed', 'pong', 'status', 'publish_ack', 'explained']);
const CLOSING = new Set(['AUTH_FAILED', 'AUTH_UNAVAILABLE', 'CONNECTION_LIMIT']);
const QUIET_MS = 1_000;
const HANDLERS_MS = 5_000;

export class Session {
  /** `put(kind, message)` hands something to the program; `idle()` waits until its handlers have returned. */
  constructor({ connection, position, subscriptions, publications, options, timers, put, idle, lostAt }) {
    this.clientId = null;
    /** The error message that announced the end. */
    this.closingError = null;
    this.retryMs = null;
    /** Why the only subscription was refused; null: it was not. */
    this.refused = null;
    this._connection = connection;
    this._position = position;
    this._subscriptions = subscriptions;
    this._publications = publications;
    this._options = options;
    this._timers = timers;
    this._put = put;
    this._idle = idle;
    this._lostAt = lostAt;
    this._requests = new Requests((message) => connection.send(message), timers);
    this._chain = Promise.resolve();
    this._isSubscribed = false;
    this._isProbing = false;
    this._first = null;
    this._recovery = null;
    this._quietPongs = 0;
    this._heardAt = timers.now();
    this._hasEnded = false;
  }

  /** Begin: the upgrade is answered, the greeting is due. */
  opened() {
    const { openTimeoutMs, pingMs } = this._options;
    this._greetingTimer = this._timers.set(() => {
      this._connection.abandon(`the server took the connection and said nothing for ${openTimeoutMs} ms`);
    }, openTimeoutMs);
    this._timers.set(() => this._lookForLife(), pingMs);
  }

  /** End: whoever waits for an answer gets none. */
  ended() {
    this._hasEnded = true;
    this._endRecovery();
    this._requests.close();
    this._timers.end();
  }

  // What the program asks for.

  subscribeTo(wish) {
    if (this.clientId !== null) this._do(() => this._tell(wish));
  }

  unsubscribe(channels) {
    if (this.clientId === null) return;
    this._do(async () => {
      if (!this._isSubscribed) return;
      if (!this._subscriptions.wishes.length) {
        this._position.unsubscribedFromAll();
        this._isSubscribed = false;
      }
      await this._requests.ask({ action: 'unsubscribe', ...(channels.length ? { channels } : {}) }, 'unsubscribed');
    });
  }

  /** Ask; the answer is the message, a RequestRefused, or null. */
  ask(message, answerType) {
    return this._do(() => this._requests.ask(message, answerType));
  }

  publish(publication) {
    if (this.clientId === null) return;
    this._do(async () => {
      if (!this._publications.has(publication)) return;
      const answer = await this._requests.ask(publication.message, 'publish_ack');
      if (answer === null) {
        if (!this._hasEnded) this.publish(publication);
        return;
      }
      this._publications.delete(publication);
      if (answer instanceof RequestRefused) publication.reject(answer);
      else publication.resolve(answer);
    });
  }

  _do(work) {
    const done = this._chain.then(() => (this._hasEnded ? null : work()));
    this._chain = done;
    return done;
  }

  // What the server says.

  receive(text) {
    this._heardAt = this._timers.now();
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return;
    }
    const type = message?.type;
    if (typeof type !== 'string') return;
    if (type === 'connected') this._greeted(message);
    else if (type === 'error') this._error(message);
    else if (ANSWERS.has(type)) this._answered(type, message);
    else if (type === 'state' || type.startsWith('state.')) this._state(type, message);
    else this._event(type, message);
  }

  _greeted(message) {
    const data = asObject(message.data);
    const isFirst = this.clientId === null;
    this.clientId = String(data.client_id ?? '');
    if (!isFirst) return;
    this._timers.clear(this._greetingTimer);
    this._position.connected(data);
    this._put('connected', message);
    this._do(async () => {
      if (this._lostAt === null) await Promise.race([this._idle(), this._timers.sleep(HANDLERS_MS)]);
      await this._subscribeToAll(data);
      if (this.refused && !this._subscriptions.wishes.length && !this._hasEnded) {
        this._connection.close(this.refused.message);
      }
    });
    for (const publication of this._publications) this.publish(publication);
  }

  _error(message) {
    const data = asObject(message.data);
    const code = String(message.code ?? data.code ?? '');
    const text = String(message.message ?? data.message ?? '');
    if (code === 'RESTARTING') {
      this.retryMs = adviceMs(data.retry_ms);
      this.closingError = { code, text };
      return;
    }
    if (code === 'HISTORY_UNAVAILABLE') {
      this._tellGap(this._position.historyUnavailable());
    } else if (CLOSING.has(code)) {
      this.closingError = { code, text };
    } else {
      const isAwaited = this._requests.refused(new RequestRefused(`${code}: ${text}`, code));
      if (isAwaited && (code === 'RATE_LIMITED' || this._hidesRefusal)) return;
    }
    this._put('error', message);
  }

  _answered(type, message) {
    if (type === 'pong' && this._quietPongs > 0) {
      this._quietPongs -= 1;
      return;
    }
    if (!this._isProbing) {
      const first = type === 'subscribed' ? this._first : null;
      let gap = null;
      if (first) {
        this._first = null;
        gap = this._position.subscribed(message, first.asked, first.history, this._timers.now());
      }
      this._put(type, message);
      this._tellGap(gap);
      if (first && this._lostAt !== null) this._beginRecovery(message.last_event_id, first.asked);
    }
    this._requests.answered(type, message);
  }

  /** A part of the state, or what came into or left the filters: in its place among the events. */
  _state(type, message) {
    if (this._isProbing) return;
    this._put(type, message);
    if (message.is_last === true) this._position.hasState = true;
  }

  _event(type, message) {
    if (this._isProbing) return;
    const now = this._timers.now();
    if (type === 'system.heartbeat') this._position.heartbeat(asObject(message.data).last_event_id, now);
    const recovery = this._recovery;
    if (recovery && isAfter(message.id, recovery.target)) this._endRecovery();
    if (!this._position.received(message.id, now)) return;
    this._put(type, message);
    if (this._recovery && message.id) {
      recovery.seenAt = now;
      recovery.count += 1;
      if (message.id === recovery.target) this._endRecovery();
    }
  }

  _tellGap(reason) {
    if (reason !== null) this._put('gap', { type: 'gap', data: { after: this._position.asked, reason } });
  }

  // Subscribing.

  async _subscribeToAll(greeting) {
    const wishes = this._subscriptions.wishes.filter((wish) => wish.channels.length);
    if (!wishes.length) return;
    const several = wishes.length > 1;
    const message = this._firstMessage(wishes, greeting);
    this._hidesRefusal = several;
    const answer = await this._requests.ask(message, 'subscribed');
    this._hidesRefusal = false;
    if (answer === null) return;
    if (!(answer instanceof RequestRefused)) {
      this._isSubscribed = true;
      this._granted(wishes, answer);
      await this._askForState(answer);
      return;
    }
    this._first = null;
    if (several) await this._findRefused(wishes, greeting);
    else this._settle(wishes[0], answer);
  }

  /** One wish is refused, and all with it: try each alone, then begin again with those that are granted. */
  async _findRefused(wishes, greeting) {
    this._isProbing = true;
    let isAnyGranted = false;
    for (const wish of wishes) {
      const answer = await this._requests.ask(this._message([wish]), 'subscribed');
      if (answer instanceof RequestRefused) this._settle(wish, answer);
      else isAnyGranted ||= answer !== null;
    }
    if (isAnyGranted) await this._requests.ask({ action: 'unsubscribe' }, 'unsubscribed');
    this._isProbing = false;
    if (isAnyGranted) await this._subscribeToAll(greeting);
  }

  async _tell(wish) {
    if (wish.isConfirmed || !wish.channels.length || !this._subscriptions.wishes.includes(wish)) return;
    if (!this._isSubscribed) {
      await this._subscribeToAll({});
    } else if (this._subscriptions.covers(wish)) {
      this._granted([wish], null);
    } else {
      // Other filters, or other channels, have another state.
      const state = wish.state || this._subscriptions.wantsState(true) ? { state: true } : {};
      const answer = await this._requests.ask({ ...this._message([wish]), ...state }, 'subscribed');
      if (answer !== null) this._settle(wish, answer);
    }
  }

  /** Ask for the state where it could not be asked for together with history, or what came of it is no longer right. */
  async _askForState(answer) {
    if ('state_as_of' in answer || this._position.hasState || !this._isSubscribed || !this._position.serverResumes) return;
    if (!this._subscriptions.wantsState()) return;
    const wishes = this._subscriptions.wishes.filter((wish) => wish.isConfirmed && wish.channels.length);
    await this._requests.ask({ ...this._message(wishes), state: true }, 'subscribed');
  }

  _settle(wish, answer) {
    if (!(answer instanceof RequestRefused)) {
      this._granted([wish], answer);
      return;
    }
    this._subscriptions.refuse(wish);
    this.refused = answer;
    wish.reject?.(answer);
  }

  _granted(wishes, answer) {
    for (const wish of wishes) wish.resolve?.(answer);
    this._subscriptions.confirm(wishes);
  }

  _message(wishes) {
    const { channels, filters } = merge(wishes);
    return { action: 'subscribe', channels, ...(Object.keys(filters).length ? { filters } : {}) };
  }

  _firstMessage(wishes, greeting) {
    const message = { ...this._message(wishes), notices: true };
    if (this._options.maxMessageBytes) message.max_message_bytes = this._options.maxMessageBytes;
    const position = this._position;
    let { history } = merge(wishes);
    if (history && 'after' in history) {
      position.beginsAfter(history.after);
      history = null;
    }
    position.asked = position.point;
    this._tellGap(position.noHistory());
    const asked = position.after;
    if (asked !== null) {
      message.after = asked;
      if (position.epoch !== null) message.epoch = position.epoch;
      if (this._subscriptions.wantsState()) message.state = 'on_gap';
      history = null;
    } else if (position.canResume && history) {
      Object.assign(message, history);
    } else {
      history = null;
      position.awaitsFrom(greeting.last_event_id);
      if (position.serverResumes && this._subscriptions.wantsState()) message.state = true;
    }
    this._first = { asked, history };
    return message;
  }

  // After a break: how much came from history.

  _beginRecovery(target, after) {
    const isKnown = parseId(target) && after !== null;
    this._recovery = { target, after, count: isKnown ? 0 : null, seenAt: this._timers.now() };
    if (!isKnown || !isAfter(target, after)) this._endRecovery();
    else this._timers.set(() => this._lookAfterRecovery(), QUIET_MS);
  }

  _lookAfterRecovery() {
    if (!this._recovery) return;
    const quietMs = this._timers.now() - this._recovery.seenAt;
    if (quietMs >= QUIET_MS) this._endRecovery();
    else this._timers.set(() => this._lookAfterRecovery(), Math.max(QUIET_MS - quietMs, 100));
  }

  _endRecovery() {
    const recovery = this._recovery;
    this._recovery = null;
    if (!recovery) return;
    const seconds = (this._timers.now() - this._lostAt) / 1_000;
    const data = { recovered: recovery.count, after: recovery.after, disconnected_seconds: seconds };
    this._put('reconnected', { type: 'reconnected', data });
  }

  // Signs of life.

  _lookForLife() {
    const { pingMs, pingTimeoutMs } = this._options;
    const leftMs = this._heardAt + pingMs - this._timers.now();
    if (leftMs > 0) {
      this._timers.set(() => this._lookForLife(), leftMs);
      return;
    }
    const heardAt = this._heardAt;
    if (this.clientId !== null) {
      this._quietPongs += 1;
      this._requests.sendNow({ action: 'ping' });
    }
    this._timers.set(() => {
      if (this._heardAt === heardAt) this._connection.abandon(`nothing heard for ${pingTimeoutMs} ms after a ping`);
      else this._timers.set(() => this._lookForLife(), pingMs);
    }, pingTimeoutMs);
  }
}

export function asObject(value) {
  return value !== null && typeof value === 'object' && !Array.isArray(value) ? value : {};
}
