/** A place in the order of all events, `<unix-ms>-<seq>`. */
export type EventId = string;

/** What the server says when it admits a client. */
export interface ConnectionInfo {
  client_id: string;
  server_time: string;
  version: string;
  tier?: string;
  heartbeat_interval?: number;
  resume?: boolean;
  last_event_id?: EventId;
  epoch?: string;
  [field: string]: unknown;
}

/** A connection ended. */
export interface Disconnection {
  /** The close code; 1006 where there was none. */
  code: number;
  /** The server's own words. */
  reason: string;
  will_reconnect: boolean;
  retry_in_seconds: number | null;
}

/** There is a connection again, and what could be recovered was handed over. */
export interface Reconnection {
  /** How many missed events came from history; null: it can't be known. */
  recovered: number | null;
  after: EventId | null;
  disconnected_seconds: number;
}

/** Events may be missing between `after` and what comes next. */
export interface Gap {
  after: EventId | null;
  reason: string;
}

/** The server refused something. */
export interface ErrorMessage {
  code: string;
  message: string;
  [field: string]: unknown;
}

/** `system.heartbeat`, every 30 s. */
export interface HeartbeatData {
  connected_clients: number;
  uptime_seconds: number;
  last_event_id?: EventId;
  /** The age of each source's last event in seconds. */
  sources?: Record<string, number | null>;
  [field: string]: unknown;
}

/** A message as it came. */
export interface SwimMessage<T = unknown> {
  type: string;
  timestamp?: string;
  id?: EventId;
  data?: T;
  [field: string]: unknown;
}

/** The types whose data is laid down; every other one holds what its provider sent. */
export interface EventData extends PayloadData {
  connected: ConnectionInfo;
  disconnected: Disconnection;
  reconnected: Reconnection;
  gap: Gap;
  error: ErrorMessage;
  'system.heartbeat': HeartbeatData;
}

export type EventHandler<T = any> = (data: T, timestamp: string, type: string, message: SwimMessage<T>) => unknown;

/** Kinds are combined with AND, the values of one kind with OR; they hold for the whole connection. */
export interface SubscriptionFilters {
  airports?: string | string[];
  artccs?: string | string[];
  firs?: string | string[];
  constrained_firs?: string | string[];
  callsign_prefix?: string | string[];
  phase?: string | string[];
  dep_window_start?: string | Date;
  dep_window_end?: string | Date;
  bbox?: { north: number; south: number; east: number; west: number };
}

/** One of these asks for history first, with the first subscription. */
export interface HistoryStart {
  after?: EventId;
  /** A time, or a span such as "10m". */
  since?: string | Date;
  last?: number;
}

/** Beside it. */
export interface SubscribeOptions extends HistoryStart {
  /** The world as it is now is sent first, and `flights` is kept up to date. */
  state?: boolean;
}

/** A flight as it is now; null where it is not known. Units as in the events. */
export interface Flight {
  callsign: string | null;
  flight_uid: number | null;
  dep: string | null;
  arr: string | null;
  equipment: string | null;
  route: string | null;
  latitude: number | null;
  longitude: number | null;
  altitude_ft: number | null;
  groundspeed_kts: number | null;
  heading_deg: number | null;
  vertical_rate_fpm: number | null;
  current_artcc: string | null;
  current_fir: string | null;
  current_sector: string | null;
  phase: string | null;
  off_utc: string | null;
  in_utc: string | null;
  first_seen_at: string | null;
  updated_at: string | null;
  [field: string]: unknown;
}

/** Flights by uid (by callsign where the server knows no uid); each value is a copy. */
export declare class FlightMirror implements Iterable<[number | string, Flight]> {
  readonly size: number;
  /** The last event that is part of it. */
  readonly asOf: EventId | null;
  /** Whether a whole state has come, and all that followed it. */
  readonly isComplete: boolean;
  has(key: number | string): boolean;
  get(key: number | string): Flight | undefined;
  keys(): (number | string)[];
  [Symbol.iterator](): Iterator<[number | string, Flight]>;
  byCallsign(callsign: string): Flight | undefined;
  where(wanted?: Partial<Flight> | ((flight: Flight) => boolean)): Flight[];
  snapshot(): { asOf: EventId | null; flights: Flight[] };
  /** Returns a function that takes the handler away. */
  onChange(handler: (what: 'added' | 'changed' | 'removed', flight: Flight) => void): () => void;
  complete(): Promise<void>;
}

/** Times in milliseconds. */
export interface SwimWebSocketClientOptions {
  /**
   * Default: SWIM_URL, else ws://127.0.0.1:8090/api/swim/v1/ws. Several addresses of one service, as a list or one text
   * with commas between them: where one fails, the client resumes at another.
   */
  wsUrl?: string | string[];
  /** The same as wsUrl. */
  url?: string | string[];
  /** false: the first connection's end is the client's. Default true. */
  reconnect?: boolean;
  /** The first pause is a random part of this. Default 1000. */
  reconnectInterval?: number;
  /** Default 60000. */
  maxReconnectInterval?: number;
  /** After so long without a message the server is asked for a sign. Default 20000. */
  pingInterval?: number;
  /** How long that sign may take. Default 20000. */
  pingTimeout?: number;
  /** For the upgrade, and again for the greeting. Default 15000. */
  openTimeout?: number;
  /** false: after a break, go on with what happens then. Default true. */
  resume?: boolean;
  /** Keep the position under this name in `storage`, so that the page or program goes on from there. */
  resumeKey?: string;
  /** Where to keep it. Default: localStorage. */
  storage?: { getItem(key: string): string | null; setItem(key: string, value: string): void };
  /** No message to this client is longer; 4096 or more. */
  maxMessageBytes?: number;
  /** So many events may wait for slow handlers; then the connection is left, and resumed when they are done. */
  maxQueuedEvents?: number;
  /** A WebSocket class such as that of the package ws. Default: the platform's own. */
  WebSocket?: unknown;
  /** For browsers: gets a ticket for one use at this address, so that no key stands in it. */
  ticket?: (url: string) => Promise<string> | string;
  /** Aborting it is the same as disconnect(). */
  signal?: AbortSignal;
  debug?: boolean;
}

export interface StreamedEvent<T = any> {
  type: string;
  id: EventId | null;
  timestamp: string;
  data: T;
}

export declare const DEFAULT_URL: string;

/** Listens to SWIM; stays connected, resumes where it was, and hands each event over once and in order. */
export declare class SwimWebSocketClient {
  constructor(apiKey?: string | null, options?: SwimWebSocketClientOptions);
  /** Whether there is a connection that the server has greeted. */
  readonly connected: boolean;
  readonly clientId: string | null;
  /** Everything up to this id has been handled. */
  readonly lastEventId: EventId | null;
  /** The address in use, or the next one to be tried. */
  readonly url: string;
  /** The flights that there are now, where the program has subscribed with `state: true`. */
  readonly flights: FlightMirror;
  /** Kept when the client was stopped; rejects with the SwimError that ended it. */
  readonly finished: Promise<void>;
  on<K extends keyof EventData>(type: K, handler: EventHandler<EventData[K]>): this;
  on(type: string, handler: EventHandler): this;
  off(type: string, handler?: EventHandler): this;
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  subscribe(channels: string | Iterable<string>, filters?: SubscriptionFilters, options?: SubscribeOptions): Promise<SwimMessage>;
  snapshot(channels?: string | Iterable<string>, filters?: SubscriptionFilters): Promise<Flight[]>;
  unsubscribe(channels?: string | Iterable<string>): void;
  events(
    channels?: string | Iterable<string>,
    filters?: SubscriptionFilters,
    options?: SubscribeOptions & { signal?: AbortSignal },
  ): AsyncGenerator<StreamedEvent, void, void>;
  ping(): Promise<SwimMessage>;
  status(): Promise<SwimMessage>;
  /** Why an event, stored or made up, comes through this client's subscription, or doesn't. */
  explain(event: EventId | { type: string; data: object }): Promise<SwimMessage<{ outcome: string; why: string }>>;
  publish(channel: string, data: object, eventId?: string): Promise<SwimMessage>;
}

/** The same under the name, options and methods of the former script-tag client. */
export declare class SWIMWebSocket extends SwimWebSocketClient {
  isConnected(): boolean;
  getClientId(): string | null;
}

export declare class SwimError extends Error {
  readonly code: number | string | null;
}
/** The key was refused for good: a person must act. */
export declare class AuthenticationError extends SwimError {}
/** The server could not take this client's messages. */
export declare class ProtocolError extends SwimError {}
/** The server refused one request. */
export declare class RequestRefused extends SwimError {}
/** There is no connection, and nothing will bring what was asked for. */
export declare class ConnectionLost extends SwimError {}
