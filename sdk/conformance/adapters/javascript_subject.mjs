// What an adapter of the JavaScript SDK does with one client, in node and in a browser alike.
const NOTICES = ['connected', 'disconnected', 'reconnected', 'gap', 'error', 'subscribed', 'unsubscribed', 'pong', 'status'];
export const CAN = ['block', 'raise', 'resume_file', 'publish', 'history', 'status', 'recovered', 'max_message_bytes', 'close_1012', 'state', 'addresses'];

export class Subject {
  constructor(name, { url, key, options }, { sdk, report, storage, WebSocket }) {
    this.name = name;
    this.sdk = sdk;
    this.write = report;
    this.rules = [];
    this.client = new sdk.SwimWebSocketClient(key, {
      wsUrl: url,
      reconnectInterval: options.reconnect_ms,
      maxReconnectInterval: options.max_reconnect_ms,
      openTimeout: options.open_timeout_ms,
      pingInterval: options.ping_ms,
      pingTimeout: options.ping_timeout_ms,
      reconnect: options.reconnect,
      resume: options.resume,
      maxMessageBytes: options.max_message_bytes,
      resumeKey: options.resume_file,
      storage,
      WebSocket,
    });
    this.client.on('*', (data, timestamp, type, message) => this.take('event', data, { type, id: message.id ?? null, data }));
    this.client.flights.onChange((what, { callsign }) => this.report({ saw: 'flight', what, callsign }));
    for (const notice of NOTICES) this.client.on(notice, (data) => this.take(notice, data, data));
  }

  take(kind, data, fields) {
    this.report({ ...fields, saw: kind });
    const waits = [];
    for (const rule of [...this.rules]) {
      if (rule.on !== kind || ('n' in rule && rule.n !== data.n)) continue;
      if (!rule.every) this.rules.splice(this.rules.indexOf(rule), 1);
      waits.push(this.do({ ...rule, do: rule.then }));
    }
    const pending = waits.filter(Boolean);
    return pending.length ? Promise.all(pending) : undefined;
  }

  do(command) {
    const { client } = this;
    switch (command.do) {
      case 'connect':
        client.connect();
        this.watch();
        return undefined;
      case 'disconnect':
        client.disconnect();
        return undefined;
      case 'subscribe': {
        const { after, since, last, state } = command;
        this.answer('subscribe', client.subscribe(command.channels, command.filters, { after, since, last, state }));
        return undefined;
      }
      case 'unsubscribe':
        client.unsubscribe(command.channels);
        return undefined;
      case 'ping':
      case 'status':
        this.answer(command.do, client[command.do]());
        return undefined;
      case 'publish':
        this.answer('publish', client.publish(command.channel, command.data));
        return undefined;
      case 'flights': {
        const { asOf, flights } = client.flights.snapshot();
        flights.sort((one, other) => (String(one.callsign) < String(other.callsign) ? -1 : 1));
        this.report({ saw: 'flights', as_of: asOf, is_complete: client.flights.isComplete, flights });
        return undefined;
      }
      case 'when':
        this.rules.push(command);
        return undefined;
      case 'block':
        return new Promise((resolve) => setTimeout(resolve, command.ms)).then(() => this.report({ saw: 'unblocked' }));
      case 'raise':
        throw new Error('raised by the handler, as it was told');
      default:
        throw new Error(`unknown command ${command.do}`);
    }
  }

  answer(to, promise) {
    promise.then(
      () => this.report({ saw: 'answer', to, ok: true }),
      (error) => this.report({ saw: 'answer', to, ok: false, code: error.code }),
    );
  }

  watch() {
    if (this.isWatched) return;
    this.isWatched = true;
    this.client.finished
      .then(
        () => ['stopped', ''],
        (error) => [
          error instanceof this.sdk.AuthenticationError ? 'auth'
            : error instanceof this.sdk.ProtocolError ? 'protocol'
              : error instanceof this.sdk.RequestRefused ? 'refused' : 'lost',
          error.message,
        ],
      )
      .then(([why, message]) => {
        this.isWatched = false;
        this.report({ saw: 'ended', why, message });
      });
  }

  report(fields) {
    this.write({ ...fields, client: this.name });
  }
}

/** Obey commands: `obey(command)` for each. */
export function makeAdapter(surroundings) {
  const subjects = new Map();
  return (command) => {
    if (command.do === 'create') subjects.set(command.client, new Subject(command.client, command, surroundings));
    else subjects.get(command.client).do(command);
  };
}
