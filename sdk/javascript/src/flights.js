/** The flights that there are now: the state that the server sends, kept up to date by the events that follow. */

import { isAfter, parseId } from './position.js';

const FIELDS = [
  'callsign', 'flight_uid', 'dep', 'arr', 'equipment', 'route', 'latitude', 'longitude', 'altitude_ft', 'groundspeed_kts',
  'heading_deg', 'vertical_rate_fpm', 'current_artcc', 'current_fir', 'current_sector', 'phase', 'off_utc', 'in_utc',
  'first_seen_at', 'updated_at',
];
const MAX_FIELDS = 64;
const NOT_OF_A_FLIGHT = new Set(['changed', 'count', 'positions', 'first_seen_at', '__proto__']);
const ALIASES = { lat: 'latitude', lon: 'longitude' };
const LEG_ENDED = ['in_utc', 'arrived_at', 'diverted'];

/**
 * Flights by uid (by callsign where the server knows no uid); each value is a copy. Right across reconnects, restarts and
 * gaps: after a break the server says what was missed, or sends the state anew.
 */
export class FlightMirror {
  constructor(hasFilters) {
    this._hasFilters = hasFilters;
    this._flights = new Map();
    this._byCallsign = new Map();
    this._staged = new Map();
    this._stateAsOf = null;
    this._changes = [];
    this._waiting = [];
    /** The last event that is part of it; null before the first state has come. */
    this.asOf = null;
    /** Whether a whole state has come, and all that followed it. */
    this.isComplete = false;
  }

  // Reading.

  get size() {
    return this._flights.size;
  }

  has(key) {
    return this._flights.has(key);
  }

  get(key) {
    const flight = this._flights.get(key);
    return flight && { ...flight };
  }

  keys() {
    return [...this._flights.keys()];
  }

  *[Symbol.iterator]() {
    for (const key of this.keys()) {
      const flight = this.get(key);
      if (flight) yield [key, flight];
    }
  }

  /** Find a flight; of several with one callsign, the one that was updated last. */
  byCallsign(callsign) {
    let found;
    for (const key of this._byCallsign.get(normal(callsign)) ?? []) {
      const flight = this._flights.get(key);
      if (!found || String(flight.updated_at) > String(found.updated_at)) found = flight;
    }
    return found && { ...found };
  }

  /** List the flights that a function lets pass, or whose fields have these values; all without either. */
  where(wanted = {}) {
    const passes =
      typeof wanted === 'function'
        ? wanted
        : (flight) => Object.entries(wanted).every(([name, value]) => flight[name] === value);
    return [...this._flights.values()].map((flight) => ({ ...flight })).filter((flight) => passes(flight));
  }

  /** Give the id of the last event that is part of it, and a copy of every flight, of one moment. */
  snapshot() {
    return { asOf: this.asOf, flights: this.where() };
  }

  /**
   * Call `handler(what, flight)` for each change, 'added', 'changed' or 'removed', before the handlers of the event.
   * Returns a function that takes the handler away.
   */
  onChange(handler) {
    this._changes = [...this._changes, handler];
    return () => {
      this._changes = this._changes.filter((one) => one !== handler);
    };
  }

  /** Kept when a whole state has come. */
  complete() {
    return this.isComplete ? Promise.resolve() : new Promise((resolve) => this._waiting.push(resolve));
  }

  // What comes, in the order of the messages.

  /** Take a message in. Returns whether it was about the state alone, and no event. */
  _take(message) {
    const { type } = message;
    if (type === 'state' || type.startsWith('state.')) {
      if (message.kind === 'flights') this._takeState(type, message);
      if (type === 'state' && message.is_last === true) this._replace(parseId(message.as_of) ? message.as_of : null);
      return true;
    }
    if (type === 'subscribed') this._staged = new Map(); // of a state whose end never came
    else if (type === 'gap') this.isComplete = false; // what is held is old until a state comes
    if (!this.isComplete) return false;
    if (parseId(message.id) && (this._stateAsOf === null || isAfter(message.id, this._stateAsOf))) {
      this.asOf = message.id;
      if (type.startsWith('flight.')) this._fold(type, message);
    }
    return false;
  }

  _takeState(type, message) {
    const { data } = message;
    if (type === 'state') {
      for (const row of Array.isArray(data?.flights) ? data.flights : []) {
        const key = keyOf(row);
        if (key !== null) this._staged.set(key, row);
      }
      return;
    }
    const key = keyOf(type === 'state.entered' ? data : message);
    if (key === null) return;
    if (type === 'state.entered') this._put(key, { ...data });
    else if (type === 'state.left') this._drop(key);
  }

  _replace(asOf) {
    const before = this._flights;
    this._flights = this._staged;
    this._staged = new Map();
    this._byCallsign = new Map();
    for (const [key, flight] of this._flights) this._index(key, flight);
    this._stateAsOf = this.asOf = asOf;
    this.isComplete = true;
    for (const resolve of this._waiting.splice(0)) resolve();
    for (const [key, flight] of before) if (!this._flights.has(key)) this._tell('removed', flight);
    for (const [key, flight] of [...this._flights]) {
      const old = before.get(key);
      if (!old || !areSame(old, flight)) this._tell(old ? 'changed' : 'added', flight);
    }
  }

  _fold(type, { data, timestamp = null }) {
    const rows = type === 'flight.positions' ? data?.positions : [data];
    const mayOpen = !this._hasFilters();
    for (const row of Array.isArray(rows) ? rows : []) {
      const key = keyOf(row);
      if (key === null) continue;
      if (type === 'flight.deleted') this._drop(key);
      else if (mayOpen || this._flights.has(key)) this._put(key, folded(this._flights.get(key), type, row, timestamp));
    }
  }

  _put(key, flight) {
    const before = this._flights.get(key);
    if (before) this._unindex(key, before);
    this._flights.set(key, flight);
    this._index(key, flight);
    if (!before || !this._changes.length || !areSame(before, flight)) this._tell(before ? 'changed' : 'added', flight);
  }

  _drop(key) {
    const before = this._flights.get(key);
    if (!before) return;
    this._flights.delete(key);
    this._unindex(key, before);
    this._tell('removed', before);
  }

  _index(key, flight) {
    const callsign = normal(flight.callsign);
    const keys = this._byCallsign.get(callsign);
    if (keys) keys.add(key);
    else this._byCallsign.set(callsign, new Set([key]));
  }

  _unindex(key, flight) {
    const callsign = normal(flight.callsign);
    const keys = this._byCallsign.get(callsign);
    keys?.delete(key);
    if (!keys?.size) this._byCallsign.delete(callsign);
  }

  _tell(what, flight) {
    for (const handler of this._changes) {
      try {
        handler(what, { ...flight });
      } catch (error) {
        globalThis.console?.error('swim-client: a handler of changed flights failed:', error);
      }
    }
  }
}

/** Change a flight as the server does: what an event names replaces what was known, also by null. */
function folded(flight, type, row, timestamp) {
  const found = flight ? { ...flight } : Object.fromEntries(FIELDS.map((name) => [name, null]));
  if (!flight) found.first_seen_at = timestamp;
  if (type === 'flight.departed') for (const name of LEG_ENDED) if (name in found) found[name] = null;
  let count = Object.keys(found).length;
  for (const [field, value] of Object.entries(row)) {
    const name = Object.hasOwn(ALIASES, field) ? ALIASES[field] : field;
    if (NOT_OF_A_FLIGHT.has(field)) continue;
    if (!Object.hasOwn(found, name)) {
      if (count >= MAX_FIELDS) continue;
      count += 1;
    }
    found[name] = value;
  }
  found.updated_at = timestamp;
  return found;
}

function keyOf(row) {
  if (row === null || typeof row !== 'object') return null;
  if (Number.isSafeInteger(row.flight_uid)) return row.flight_uid;
  return typeof row.callsign === 'string' && row.callsign ? row.callsign : null;
}

function normal(callsign) {
  return typeof callsign === 'string' ? callsign.trim().toUpperCase() : '';
}

function areSame(one, other) {
  return JSON.stringify(one) === JSON.stringify(other);
}
