/**
 * The service, as any client has it: the state over HTTP, then everything after it over a WebSocket, resumed after
 * every break. Where something may be missing, the state is asked for again, and the page says so.
 */

import { AuthenticationError, SwimWebSocketClient } from 'swim-client';
import { isAfter } from './world.js';

/**
 * @typedef {import('../common/address.js').Address} Address
 * @typedef {import('./world.js').Told} Told
 * @typedef {'connecting' | 'loading' | 'live' | 'waiting' | 'stopped' | 'refused'} Stage
 * @typedef {{
 *   stage: (stage: Stage, text: string) => void,
 *   flights: (flights: Record<string, any>[]) => void,
 *   measures: (measures: Record<string, any>[]) => void,
 *   event: (told: Told) => void,
 *   heartbeat: (data: Record<string, any>) => void,
 *   gap: (reason: string) => void,
 *   refused: (text: string) => void,
 * }} Listener
 */

const CHANNELS = ['flight.*', 'tmi.*'];
const RETRY_MS = 1_000;
const MAX_RETRY_MS = 15_000;
const MAX_WAITING = 20_000;
const KEPT_WAITING = 1_000;

/** A key that the service does not take; a person must type another one. */
class KeyRefused extends AuthenticationError {}

export class Feed {
  /**
   * @param {Address} address
   * @param {string} key
   * @param {Listener} listener
   */
  constructor(address, key, listener) {
    this._address = address;
    this._key = key;
    this._listener = listener;
    this._stopping = new AbortController();
    /** @type {Told[] | null} events that wait while the state is on its way */
    this._waiting = [];
    /** @type {Record<'flights' | 'tmis', string | null>} */
    this._asOf = { flights: null, tmis: null };
    this._loads = 0;
    /** The service said that it stops; it has not been heard of since. */
    this._hasStopped = false;
    this._client = this._makeClient();
  }

  /** Go on until the key is refused, or `stop`. */
  async run() {
    try {
      this._listener.stage('loading', 'Loading the traffic');
      await this._load();
      this._client.subscribe(CHANNELS, {}, { after: this._first() });
      await this._client.connect();
      await this._client.finished;
    } catch (error) {
      if (this._stopping.signal.aborted) return;
      const isKey = error instanceof AuthenticationError;
      this._listener.stage('refused', isKey ? 'The key was refused' : 'Stopped');
      this._listener.refused(error instanceof Error ? error.message : String(error));
    }
  }

  stop() {
    this._stopping.abort();
    this._client.disconnect();
  }

  /** Ask the service why an event reaches this page. @param {string} id */
  async explain(id) {
    const answer = await this._client.explain(id);
    return /** @type {{ outcome: string, why: string }} */ (answer.data);
  }

  /**
   * Ask over HTTP, with the key in a header. Raises for what is no answer.
   * @param {string} path
   * @param {Record<string, string>} [query]
   * @param {RequestCache} [cache] `no-cache`: the browser may keep it, and asks whether it has changed
   */
  async get(path, query = {}, cache = 'no-store') {
    const url = new URL(this._address.folder + path);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    const response = await this._fetch(url.href, 'GET', cache);
    return { body: await response.json(), asOf: response.headers.get('X-SWIM-As-Of') };
  }

  _makeClient() {
    const client = new SwimWebSocketClient(null, {
      wsUrl: this._address.socket,
      ticket: () => this._ticket(),
      reconnectInterval: RETRY_MS,
      maxReconnectInterval: MAX_RETRY_MS,
    });
    client.on('subscribed', () => {
      this._hasStopped = false;
      this._listener.stage('live', 'Live');
    });
    client.on('disconnected', ({ code, reason, will_reconnect: isGoingOn }) => {
      this._hasStopped = code === 1012;
      if (this._hasStopped) this._listener.stage('stopped', 'The service stops or restarts');
      else if (isGoingOn) this._listener.stage('waiting', `${reason || 'The connection was lost'}; trying again`);
    });
    client.on('gap', ({ reason }) => {
      this._listener.gap(reason);
      this._reload();
    });
    client.on('system.heartbeat', (data) => this._listener.heartbeat(data));
    client.on('flight.*', (data, at, type, message) => this._take({ type, id: message.id ?? null, at, data }));
    client.on('tmi.*', (data, at, type, message) => this._take({ type, id: message.id ?? null, at, data }));
    return client;
  }

  /** Exchange the key for a ticket, however long the service is away. */
  async _ticket() {
    const response = await this._patiently(() => this._fetch(`${this._address.folder}ticket`, 'POST'));
    return /** @type {string} */ ((await response.json()).ticket);
  }

  async _load() {
    const number = (this._loads += 1);
    this._waiting ??= [];
    const [flights, tmis] = await this._patiently(() => Promise.all([this.get('flights'), this.get('tmis')]));
    if (number !== this._loads) return; // a newer one is on its way
    this._asOf = { flights: flights.asOf, tmis: tmis.asOf };
    this._listener.flights(flights.body.flights);
    this._listener.measures(tmis.body.tmis);
    const waiting = this._waiting ?? [];
    this._waiting = null;
    for (const told of waiting) this._take(told);
  }

  async _reload() {
    try {
      await this._load();
    } catch (error) {
      if (this._stopping.signal.aborted) return;
      this._listener.refused(error instanceof Error ? error.message : String(error));
      this.stop();
    }
  }

  /** What both answers hold already: everything after it is asked for. */
  _first() {
    const { flights, tmis } = this._asOf;
    const first = isAfter(flights, tmis) ? tmis : flights;
    return first && first !== '0-0' ? first : undefined;
  }

  /** @param {Told} told */
  _take(told) {
    if (this._waiting) {
      this._waiting.push(told);
      if (this._waiting.length > MAX_WAITING) {
        this._waiting.splice(0, this._waiting.length - KEPT_WAITING); // a newer state has them
        void this._reload();
      }
      return;
    }
    const asOf = told.type.startsWith('tmi.') ? this._asOf.tmis : this._asOf.flights;
    if (told.id === null || isAfter(told.id, asOf)) this._listener.event(told);
  }

  /**
   * Try until there is an answer; only a refused key ends it.
   * @template T
   * @param {() => Promise<T>} work
   * @returns {Promise<T>}
   */
  async _patiently(work) {
    for (let waitMs = RETRY_MS; ; waitMs = Math.min(waitMs * 2, MAX_RETRY_MS)) {
      try {
        return await work();
      } catch (error) {
        if (error instanceof KeyRefused || this._stopping.signal.aborted) throw error;
        const advice = error instanceof Refused ? error.retryMs : null;
        this._sayWaiting(error);
        await pause(Math.max(advice ?? 0, waitMs * (0.5 + Math.random() / 2)), this._stopping.signal);
      }
    }
  }

  /** @param {unknown} error */
  _sayWaiting(error) {
    if (error instanceof Refused) this._listener.stage('waiting', error.message);
    else if (this._hasStopped) this._listener.stage('stopped', 'The service has stopped; trying again');
    else this._listener.stage('waiting', 'The service does not answer; trying again');
  }

  /** @param {string} url @param {'GET' | 'POST'} method @param {RequestCache} cache */
  async _fetch(url, method, cache = 'no-store') {
    const response = await fetch(url, {
      method,
      headers: { Authorization: `Bearer ${this._key}` },
      credentials: 'omit',
      cache,
      referrerPolicy: 'no-referrer',
      signal: this._stopping.signal,
    });
    if (response.ok) return response;
    const told = await response.json().catch(() => ({}));
    const message = typeof told.message === 'string' ? told.message : `the service answered ${response.status}`;
    if (response.status === 401 || response.status === 403) throw new KeyRefused(message);
    throw new Refused(message, response.status, Number(response.headers.get('Retry-After')) * 1_000 || null);
  }
}

/** A request that the service did not answer as wished. */
export class Refused extends Error {
  /** @param {string} message @param {number} status @param {number | null} retryMs */
  constructor(message, status, retryMs) {
    super(message);
    this.status = status;
    this.retryMs = retryMs;
  }
}

/** @param {number} ms @param {AbortSignal} signal @returns {Promise<void>} */
function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(signal.reason);
    }, { once: true });
  });
}
