/** The client: what a program registers, asks for and runs. */

import { Addresses, splitUrls } from './addresses.js';
import { Backoff, retryMs } from './backoff.js';
import { Connection, findSocket, withQuery } from './connection.js';
import { Delivery } from './delivery.js';
import { AuthenticationError, ConnectionLost, ProtocolError, RequestRefused, SwimError } from './errors.js';
import { FlightMirror } from './flights.js';
import { Position, parseId } from './position.js';
import { Timers } from './requests.js';
import { asObject, Session } from './session.js';
import { readChannels, readFilters, readHistory, Subscriptions } from './subscriptions.js';

export const DEFAULT_URL = 'ws://127.0.0.1:8090/api/swim/v1/ws';
const WHOLE = new Set(['error', 'subscribed', 'unsubscribed', 'pong', 'publish_ack', 'explained']);
const LAST_WORDS = new Set(['disconnected', 'error']);
const OUR_FAULT = new Set([1007, 1009, 4003]);
const SAVE_MS = 1_000;

export class SwimWebSocketClient {
  /**
   * Nothing is connected yet. Times in milliseconds; `README.md` lists the options.
   * Throws TypeError for a missing key or a wrong address.
   */
  constructor(apiKey, options = {}) {
    const environ = globalThis.process?.env ?? {};
    const key = (apiKey ?? environ.SWIM_API_KEY ?? '').trim();
    if (!key && !options.ticket) throw new TypeError('no API key: pass one, or set SWIM_API_KEY');
    const urls = splitUrls(options.wsUrl ?? options.url ?? environ.SWIM_URL ?? DEFAULT_URL);
    if (!urls.length) throw new TypeError('wsUrl: the list of addresses is empty');
    for (const url of urls) {
      if (!/^wss?:\/\//.test(url)) throw new TypeError(`wsUrl: must begin with ws:// or wss://, got ${redact(url, key)}`);
    }
    this._key = key;
    this._addresses = new Addresses(urls);
    this._options = {
      reconnect: options.reconnect ?? true,
      resume: options.resume ?? true,
      openTimeoutMs: options.openTimeout ?? 15_000,
      pingMs: options.pingInterval ?? 20_000,
      pingTimeoutMs: options.pingTimeout ?? 20_000,
      maxMessageBytes: options.maxMessageBytes ?? null,
      maxQueuedEvents: options.maxQueuedEvents ?? 50_000,
      debug: options.debug ?? false,
    };
    this._socketClass = options.WebSocket;
    this._ticket = options.ticket ?? null;
    this._storage = options.resumeKey ? options.storage ?? globalThis.localStorage ?? null : null;
    this._storageKey = options.resumeKey ?? null;
    this._backoff = new Backoff(options.reconnectInterval ?? 1_000, options.maxReconnectInterval ?? 60_000);
    this._handlers = new Map();
    this._matching = new Map();
    this._subscriptions = new Subscriptions();
    /** The flights that there are now, where the program has subscribed with `state: true`. */
    this.flights = new FlightMirror(() => this._subscriptions.hasFilters());
    this._publications = new Set();
    this._handled = { id: null, epoch: null };
    this._run = null;
    this._streams = new Set();
    this._delivery = new Delivery(
      (item) => this._handOver(item),
      (item) => this._handedOver(item),
    );
    options.signal?.addEventListener('abort', () => this.disconnect(), { once: true });
    this._isAborted = () => options.signal?.aborted === true;
  }

  /** Whether there is a connection that the server has greeted. */
  get connected() {
    return this.clientId !== null;
  }

  /** The server's name for the connection at hand; null while there is none. */
  get clientId() {
    return this._run?.session?.clientId ?? null;
  }

  /** The address in use, or the next one to be tried. */
  get url() {
    return this._addresses.current;
  }

  /** From where a later run would resume: everything up to this id has been handled. */
  get lastEventId() {
    return this._handled.id;
  }

  // Handlers.

  /**
   * Register a handler for a type, `family.*`, `*` (every event), or one of connected, disconnected, reconnected, gap,
   * error, subscribed, unsubscribed, pong, status. It is called with (data, timestamp, type, message).
   */
  on(type, handler) {
    this._handlers.set(type, [...(this._handlers.get(type) ?? []), handler]);
    this._matching.clear();
    return this;
  }

  /** Take a handler of this type away, or all of them. */
  off(type, handler) {
    const kept = handler ? (this._handlers.get(type) ?? []).filter((one) => one !== handler) : [];
    if (kept.length) this._handlers.set(type, kept);
    else this._handlers.delete(type);
    this._matching.clear();
    return this;
  }

  _handlersOf(type) {
    let found = this._matching.get(type);
    if (!found) {
      found = [...(this._handlers.get(type) ?? [])];
      if (type.includes('.')) {
        for (const [pattern, handlers] of this._handlers) {
          const isFamily = pattern.endsWith('.*') && type.startsWith(pattern.slice(0, -1));
          if (isFamily || pattern === '*') found.push(...handlers);
        }
      }
      if (this._matching.size < 1_000) this._matching.set(type, found);
    }
    return found;
  }

  // What to hear of.

  /**
   * Add channels and filters, now and over every reconnect. `history`: one of `after`, `since` (a Date, or a span such
   * as "10m") and `last`, for the first subscription only; `state: true` beside it: the world as it is now is sent
   * first, and `flights` is kept up to date. The promise, which need not be awaited, is the server's answer; it rejects
   * with RequestRefused.
   */
  subscribe(channels, filters = {}, history = {}) {
    const names = readChannels(channels);
    if (!names.length) throw new TypeError("subscribe to at least one channel, such as 'flight.departed'");
    const read = readHistory(history);
    if (read && (this.lastEventId !== null || (this.connected && this._subscriptions.wishes.length))) {
      throw new TypeError(`${Object.keys(read)[0]}: history can be asked for only with the first subscription`);
    }
    const wish = this._subscriptions.add(names, readFilters(filters), read, history.state === true);
    const answer = new Promise((resolve, reject) => Object.assign(wish, { resolve, reject }));
    this._run?.session?.subscribeTo(wish);
    return quiet(answer);
  }

  /** Subscribe with the state, and give the flights that there are now; `flights` is kept up to date from then on. */
  async snapshot(channels = 'flight.*', filters = {}) {
    const run = this._run;
    if (!run || run.isStopping) throw new ConnectionLost('snapshot: the client is not running');
    const answer = this.subscribe(channels, filters, { state: true });
    if (this.connected) await answer;
    const ended = run.finished.then(() => {
      throw new ConnectionLost('the client was stopped before the state had come');
    });
    await Promise.race([this.flights.complete(), ended]);
    return this.flights.where();
  }

  /** Take channels away; none named: all of them, and the filters. */
  unsubscribe(channels = []) {
    const names = readChannels(channels ?? []);
    this._subscriptions.remove(names);
    this._run?.session?.unsubscribe(names);
  }

  /**
   * Subscribe, and yield the events of these channels as {type, id, timestamp, data}; ends with `signal` or with the
   * client. An event counts as handled when the loop asks for the next one.
   */
  async *events(channels, filters = {}, { signal, ...history } = {}) {
    const names = channels === undefined ? ['*'] : readChannels(channels);
    const stream = new Stream();
    for (const name of names) this.on(name, stream.offer);
    this._streams.add(stream);
    const abort = () => stream.end();
    signal?.addEventListener('abort', abort, { once: true });
    try {
      if (signal?.aborted) return;
      if (channels !== undefined) this.subscribe(names, filters, history).catch((error) => stream.end(error));
      for (;;) {
        const message = await stream.take();
        if (message === null) return;
        yield message;
      }
    } finally {
      signal?.removeEventListener('abort', abort);
      for (const name of names) this.off(name, stream.offer);
      this._streams.delete(stream);
      stream.end();
    }
  }

  // Requests.

  /** Ask for a pong. */
  ping() {
    return this._ask('ping', 'pong');
  }

  /** Ask what the server knows of this connection. */
  status() {
    return this._ask('status', 'status');
  }

  /**
   * Ask why an event comes through this client's subscription, or doesn't. `event`: its id, or its type and data. The
   * answer's `outcome` and `why` say so in words.
   */
  explain(event) {
    return this._ask('explain', 'explained', { event });
  }

  /**
   * Put an event in; needs a key of the system tier. The answer means: stored. Without a connection it waits for one,
   * and is sent again under the same `eventId` until it is answered.
   */
  publish(channel, data, eventId = newEventId()) {
    const message = { action: 'publish', channel, data: JSON.parse(JSON.stringify(data)), event_id: eventId };
    if (!this._run) return quiet(Promise.reject(new ConnectionLost('the client is not running: publish while it runs')));
    const publication = { message };
    const answer = new Promise((resolve, reject) => Object.assign(publication, { resolve, reject }));
    this._publications.add(publication);
    this._run.session?.publish(publication);
    return quiet(answer);
  }

  _ask(action, answerType, fields = {}) {
    const session = this.connected ? this._run.session : null;
    if (!session) return quiet(Promise.reject(new ConnectionLost(`${action}: there is no connection`)));
    return quiet(
      session.ask({ action, ...fields }, answerType).then((answer) => {
        if (answer instanceof SwimError) throw answer;
        if (answer === null) throw new ConnectionLost(`${action}: the connection ended before the answer`);
        return answer;
      }),
    );
  }

  // Life.

  /**
   * Connect, and stay connected until `disconnect`. The promise is kept when the server has greeted this client; it
   * rejects with what ends the client before. Calling it again while the client runs changes nothing.
   */
  connect() {
    if (this._run?.isStopping) return quiet(this._run.finished.catch(() => {}).then(() => this.connect()));
    if (!this._run) {
      const run = (this._run = { session: null, timers: new Timers(), isStopping: this._isAborted(), lostAt: null });
      run.admitted = quiet(new Promise((resolve, reject) => Object.assign(run, { admit: resolve, refuse: reject })));
      run.closed = new Promise((resolve) => (run.close = resolve));
      run.finished = quiet(this._live(run));
    }
    return this._run.admitted;
  }

  /** Close for good, whatever the state; events that wait are not handled. The promise need not be awaited: closed. */
  disconnect() {
    const run = this._run;
    if (!run) return Promise.resolve();
    if (!run.isStopping) {
      run.isStopping = true;
      run.connection?.close('stopped by this program');
      run.timers.end();
    }
    return run.closed;
  }

  /** Kept when the client was stopped and its handlers have returned; rejects with the SwimError that ended it. */
  get finished() {
    return this._run?.finished ?? Promise.resolve();
  }

  async _live(run) {
    let error = null;
    const wake = () => run.wakeUp?.();
    globalThis.addEventListener?.('online', wake);
    try {
      this._load();
      run.position = new Position({
        after: this._handled.id,
        epoch: this._handled.epoch,
        isEnabled: this._options.resume,
      });
      const makeSocket = await findSocket(this._socketClass);
      while (!run.isStopping) {
        const ending = await this._serve(run, makeSocket);
        error = this._finalError(ending);
        const waitMs = error || run.isStopping ? null : this._waitMs(ending);
        if (ending.wasOpen) this._tellEnd(ending, waitMs);
        if (error || run.isStopping) break;
        this._log(`${ending.reason || 'disconnected'}; connecting again in ${Math.round(waitMs)} ms`);
        await this._pause(run, waitMs);
      }
    } catch (failure) {
      error = failure;
    } finally {
      globalThis.removeEventListener?.('online', wake);
      run.close();
    }
    if (!error || error instanceof SwimError) await this._delivery.idle();
    this._end(run, error);
    if (error) throw error;
  }

  _end(run, error) {
    run.timers.end();
    this._run = null;
    this._save();
    for (const publication of this._publications) publication.reject(error ?? new ConnectionLost('the client was stopped'));
    this._publications.clear();
    run.refuse(error ?? new ConnectionLost('the client was stopped before it was connected'));
    for (const stream of this._streams) stream.end(error);
  }

  /** One attempt, from its beginning to its end. */
  async _serve(run, makeSocket) {
    const { url } = this;
    const ticket = this._ticket ? await this._ticket(url) : null;
    if (run.isStopping) return { code: 1000, reason: '', wasOpen: false };
    const { position } = run;
    let session = null;
    let openedAt = null;
    const timers = new Timers();
    const ending = await new Promise((resolve) => {
      const connection = (run.connection = new Connection(
        () => (ticket ? makeSocket(withQuery(url, { ticket }), '') : makeSocket(url, this._key)),
        {
          timers,
          openTimeoutMs: this._options.openTimeoutMs,
          onOpen: () => {
            openedAt = timers.now();
            session.opened();
          },
          onMessage: (text) => session.receive(text),
          onEnd: resolve,
        },
      ));
      session = run.session = new Session({
        connection,
        position,
        timers,
        subscriptions: this._subscriptions,
        publications: this._publications,
        options: this._options,
        lostAt: run.lostAt,
        idle: () => this._delivery.idle(),
        put: (kind, message) => this._put(run, kind, message),
      });
    });
    session.ended();
    run.session = run.connection = null;
    const wasAdmitted = session.clientId !== null;
    if (openedAt !== null) this._backoff.ended(timers.now() - openedAt);
    if (wasAdmitted) run.lostAt = timers.now();
    const { closingError, retryMs: advice, refused } = session;
    return { ...ending, wasOpen: openedAt !== null, wasAdmitted, closingError, advice, refused };
  }

  _put(run, kind, message) {
    if (kind === 'connected') run.admit();
    this._delivery.put({ kind, message, point: run.position.point, epoch: run.position.epoch, run });
    if (this._delivery.waiting > this._options.maxQueuedEvents && run.position.canResume && this._options.resume) {
      run.isBehind = true;
      run.connection?.abandon('this program could not keep up');
    }
  }

  async _pause(run, waitMs) {
    if (run.isBehind) {
      run.isBehind = false;
      await this._delivery.idle();
      return;
    }
    await Promise.race([run.timers.sleep(waitMs), new Promise((resolve) => (run.wakeUp = resolve))]);
    run.wakeUp = null;
  }

  _finalError({ code, reason, isServers, closingError, refused, wasOpen, wasAdmitted }) {
    if (refused && !this._subscriptions.wishes.length) return refused;
    const told = redact(closingError?.text || reason, this._key);
    if (code === 4001 || closingError?.code === 'AUTH_FAILED') {
      return new AuthenticationError(`the key was refused: ${told || 'the server gave no reason'}`, 4001);
    }
    if (OUR_FAULT.has(code) && isServers) {
      return new ProtocolError(`the server gave up on this client's messages: ${told || 'no reason given'}`, code);
    }
    if (this._options.reconnect || this._run?.isStopping) return null;
    if (!wasAdmitted && !this._addresses.isLast) return null;
    return new ConnectionLost(told || (wasOpen ? 'the connection ended' : 'the connection could not be made'), code);
  }

  _waitMs({ reason, wasAdmitted, advice }) {
    const told = retryMs(reason) ?? advice;
    if (wasAdmitted) {
      this._addresses.ended(told !== null);
      return told ?? this._backoff.waitAfterSession();
    }
    return this._addresses.failed() ? Math.max(this._backoff.wait(), told ?? 0) : 0;
  }

  _tellEnd({ code, reason, isServers, closingError }, waitMs) {
    const isLost = (!isServers || !reason) && !this._run.isStopping;
    const words = isLost && closingError?.code === 'RESTARTING' ? closingError.text : reason;
    const data = {
      code: code ?? 1006,
      reason: redact(words, this._key),
      will_reconnect: waitMs !== null,
      retry_in_seconds: waitMs === null ? null : waitMs / 1_000,
    };
    this._delivery.put({ kind: 'disconnected', message: { type: 'disconnected', data }, point: null, run: this._run });
  }

  // Handing over.

  _handOver(item) {
    const { kind, message, run } = item;
    if (run.isStopping && !LAST_WORDS.has(kind)) {
      item.point = null; // not handled: it comes again
      return undefined;
    }
    if (this.flights._take(message)) return undefined;
    const handlers = this._handlersOf(kind);
    if (!handlers.length) return undefined;
    const content = kind === 'error' ? errorContent(message, this._key) : WHOLE.has(kind) ? message : asObject(message.data);
    let pending;
    for (let number = 0; number < handlers.length; number += 1) {
      if (pending) pending = pending.then(() => this._call(handlers[number], content, message, kind));
      else pending = this._call(handlers[number], content, message, kind);
    }
    return pending;
  }

  _call(handler, content, message, kind) {
    try {
      const returned = handler(content, typeof message.timestamp === 'string' ? message.timestamp : '', kind, message);
      return typeof returned?.then === 'function' ? returned.then(undefined, (error) => this._failed(kind, error)) : undefined;
    } catch (error) {
      this._failed(kind, error);
      return undefined;
    }
  }

  _failed(kind, error) {
    globalThis.console?.error(`swim-client: a handler of ${kind} failed:`, error);
  }

  _handedOver({ point, epoch }) {
    if (point === null || (this._handled.id === point && this._handled.epoch === epoch)) return;
    this._handled = { id: point, epoch };
    this._saveSoon();
  }

  // Keeping the position outside.

  _load() {
    if (!this._storage) return;
    try {
      const kept = JSON.parse(this._storage.getItem(this._storageKey) ?? 'null');
      if (kept && parseId(kept.id)) this._handled = { id: kept.id, epoch: kept.epoch ?? null };
    } catch (error) {
      this._log(`what was kept as ${this._storageKey} can't be read: ${error.message}`);
    }
  }

  _saveSoon() {
    if (this._storage && !this._saveTimer) this._saveTimer = setTimeout(() => this._save(), SAVE_MS);
  }

  _save() {
    clearTimeout(this._saveTimer);
    this._saveTimer = null;
    if (!this._storage || this._handled.id === null) return;
    try {
      this._storage.setItem(this._storageKey, JSON.stringify(this._handled));
    } catch (error) {
      this._log(`the position can't be kept: ${error.message}`);
    }
  }

  _log(text) {
    if (this._options.debug) globalThis.console?.debug(`swim-client: ${redact(text, this._key)}`);
  }
}

/** The events of one `for await` loop. */
class Stream {
  constructor() {
    this._hasEnded = false;
    this._error = null;
    this._message = null;
    this._release = null;
    this._wake = null;
    this.offer = (data, timestamp, type, message) => {
      if (this._hasEnded) return undefined;
      this._message = { type, id: message.id ?? null, timestamp, data };
      this._wake?.();
      return new Promise((resolve) => (this._release = resolve));
    };
  }

  async take() {
    this._release?.();
    this._release = null;
    while (!this._message) {
      if (this._error) throw this._error;
      if (this._hasEnded) return null;
      await new Promise((resolve) => (this._wake = resolve));
    }
    const message = this._message;
    this._message = null;
    return message;
  }

  end(error = null) {
    if (this._hasEnded) return;
    this._hasEnded = true;
    this._error = error;
    this._release?.();
    this._wake?.();
  }
}

/** Code and text stand at the top or in `data`: put them at the top. */
function errorContent(message, key) {
  const data = asObject(message.data);
  return {
    ...message,
    code: String(message.code ?? data.code ?? ''),
    message: redact(String(message.message ?? data.message ?? ''), key),
  };
}

/** A promise that nobody need look at. */
function quiet(promise) {
  promise.catch(() => {});
  return promise;
}

function redact(text, key) {
  return key ? String(text).split(key).join('[key]') : String(text);
}

function newEventId() {
  if (globalThis.crypto?.randomUUID) return globalThis.crypto.randomUUID().replaceAll('-', '');
  return Array.from({ length: 32 }, () => Math.floor(Math.random() * 16).toString(16)).join('');
}

export { RequestRefused };
