/**
 * One WebSocket of any make: the browser's, node's, or the package `ws`. Whatever that make shows of an end, an error
 * without a close, a close without an error, or nothing at all, `onEnd` is called exactly once.
 */

const OPEN = 1;

export class Connection {
  /**
   * `onOpen()`, `onMessage(text)`, `onEnd({code, reason, isServers})`; `code` is null for a line that broke or was
   * never made, `isServers` tells whether the code is the server's own word.
   */
  constructor(makeSocket, { timers, openTimeoutMs, onOpen, onMessage, onEnd }) {
    this._onEnd = onEnd;
    this._hasEnded = false;
    this._timers = timers;
    this._timer = timers.set(() => this.abandon(`no answer within ${openTimeoutMs} ms`), openTimeoutMs);
    try {
      const socket = (this._socket = makeSocket());
      socket.onopen = () => {
        timers.clear(this._timer);
        if (!this._hasEnded) onOpen();
      };
      socket.onmessage = (event) => {
        if (!this._hasEnded && typeof event.data === 'string') onMessage(event.data);
      };
      socket.onerror = (event) => {
        // Some makes tell an error and never a close: wait a moment for the close, which knows more.
        const told = event?.message || event?.error?.message || 'the connection could not be made';
        if (!this._hasEnded) this._late = timers.set(() => this._end(null, told, false), 50);
      };
      socket.onclose = (event) => {
        const isKnown = event.code !== undefined && event.code !== 1006 && event.code !== 1005;
        this._end(isKnown ? event.code : event.code === 1005 ? 1005 : null, event.reason || '', event.wasClean === true);
      };
    } catch (error) {
      this._late = timers.set(() => this._end(null, error.message, false), 0);
    }
  }

  get isOpen() {
    return !this._hasEnded && this._socket?.readyState === OPEN;
  }

  send(message) {
    if (this.isOpen) this._socket.send(JSON.stringify(message));
  }

  /** Close in good order; the end is told at once. */
  close(reason) {
    this._closeSocket(1000, reason);
    this._end(1000, reason, false);
  }

  /** Take the connection for lost. */
  abandon(reason) {
    this._closeSocket(4999, 'lost');
    this._end(null, reason, false);
  }

  _closeSocket(code, reason) {
    try {
      this._socket?.close(code, reason);
    } catch {
      // A socket that can't be closed any more, or not yet: it is let go of, and its events are ignored.
    }
  }

  _end(code, reason, isServers) {
    if (this._hasEnded) return;
    this._hasEnded = true;
    this._timers.clear(this._timer);
    if (this._late) this._timers.clear(this._late);
    this._onEnd({ code, reason, isServers });
  }
}

/**
 * Find the WebSocket to use, and how the key reaches the server. Node's own and `ws` send a header; a browser can't,
 * so the key stands in the address there. Returns a function of (url, key) that makes a socket.
 */
export async function findSocket(given) {
  const isBrowser = typeof globalThis.window !== 'undefined' || typeof globalThis.importScripts === 'function';
  let Socket = given ?? globalThis.WebSocket;
  if (!Socket) {
    try {
      Socket = (await import(/* webpackIgnore: true */ /* @vite-ignore */ 'ws')).default;
    } catch {
      throw new Error('no WebSocket here: use node 22 or later, start node with --experimental-websocket, or npm install ws');
    }
  }
  if (isBrowser && !given) return (url, key) => new Socket(withQuery(url, { api_key: key }));
  const isOwn = Socket === globalThis.WebSocket;
  return (url, key) => {
    const headers = key ? { 'X-SWIM-API-Key': key } : {};
    return isOwn ? new Socket(url, { headers }) : new Socket(url, [], { headers, maxPayload: 16 * 1024 * 1024 });
  };
}

/** Add parameters to an address. */
export function withQuery(url, parameters) {
  const address = new URL(url);
  for (const [name, value] of Object.entries(parameters)) if (value) address.searchParams.set(name, value);
  return address.href;
}
