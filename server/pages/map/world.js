/**
 * What the map knows: flights and measures as the service told them, folded as the service folds them. Pure: events
 * and moments in, state out.
 */

/**
 * @typedef {Record<string, any>} Entry
 * @typedef {{ type: string, id: string | null, at: string, data: Entry }} Told
 */

const ALIASES = new Map([['lat', 'latitude'], ['lon', 'longitude']]);
const NOT_OF_A_FLIGHT = new Set(['changed', 'count', 'positions', 'first_seen_at']);
const LEG_ENDED = ['in_utc', 'arrived_at', 'diverted'];
const KEPT_EVENTS = 40;
const KEPT_DELETED = 300;

/** Flights and measures by their keys, and the last things told of each flight. */
export class World {
  constructor() {
    /** @type {Map<string | number, Entry>} */
    this.flights = new Map();
    /** @type {Map<string | number, Entry>} */
    this.measures = new Map();
    /** @type {Map<string, Entry>} flights that went away lately, by callsign */
    this.deleted = new Map();
    /** Counts up with each change of measures. */
    this.measuresVersion = 0;
    /** @type {Map<string | number, Told[]>} */
    this._events = new Map();
    /** @type {Map<string | number, Told>} the last position of each, without what it tells */
    this._reports = new Map();
  }

  /** @param {Entry[]} flights */
  replaceFlights(flights) {
    this.flights = new Map();
    for (const flight of flights) {
      const key = keyOf(flight);
      if (key !== null) this.flights.set(key, flight);
    }
    for (const kept of [this._events, this._reports]) for (const key of kept.keys()) if (!this.flights.has(key)) kept.delete(key);
  }

  /** @param {Entry[]} measures */
  replaceMeasures(measures) {
    this.measures = new Map(measures.map((measure) => [measure.program_id, measure]));
    this.measuresVersion += 1;
  }

  /**
   * Take in an event about a flight, positions left out. Returns its key; null: it names no flight.
   * @param {Told} told
   */
  foldFlight(told) {
    const key = keyOf(told.data);
    if (key === null) return null;
    if (told.type === 'flight.deleted') {
      this._remove(key, told);
      return key;
    }
    const flight = this.flights.get(key) ?? { first_seen_at: told.at };
    if (told.type === 'flight.departed') for (const field of LEG_ENDED) if (field in flight) flight[field] = null;
    take(flight, told.data, told.at);
    this.flights.set(key, flight);
    this._remember(key, told);
    return key;
  }

  /**
   * Take in one position of a batch.
   * @param {Entry} row
   * @param {string} at
   * @param {string | null} [id] of the batch
   */
  foldPosition(row, at, id = null) {
    const key = keyOf(row);
    if (key === null) return null;
    const flight = this.flights.get(key) ?? { first_seen_at: at };
    take(flight, row, at);
    this.flights.set(key, flight);
    if (id !== null) this._reports.set(key, { type: 'flight.positions', id, at, data: {} });
    return key;
  }

  /** @param {Told} told */
  foldMeasure(told) {
    const key = told.data.program_id;
    if (typeof key !== 'number' && typeof key !== 'string') return;
    if (told.type === 'tmi.released') this.measures.delete(key);
    else if (told.type === 'tmi.issued' || told.type === 'tmi.modified') {
      this.measures.set(key, { ...this.measures.get(key), ...told.data, updated_at: told.at });
    } else return;
    this.measuresVersion += 1;
  }

  /** The last things told of a flight since this page listens, newest first; of positions the last one. @param {string | number} key */
  eventsOf(key) {
    const report = this._reports.get(key);
    return [...(report ? [report] : []), ...[...(this._events.get(key) ?? [])].reverse()];
  }

  /** Find a flight by its callsign. @param {string} callsign */
  find(callsign) {
    const wanted = callsign.trim().toUpperCase();
    for (const [key, flight] of this.flights) {
      if (typeof flight.callsign === 'string' && flight.callsign.toUpperCase() === wanted) return key;
    }
    return null;
  }

  /** @param {string | number} key @param {Told} told */
  _remember(key, told) {
    const events = this._events.get(key) ?? [];
    events.push(told);
    if (events.length > KEPT_EVENTS) events.shift();
    this._events.set(key, events);
  }

  /** @param {string | number} key @param {Told} told */
  _remove(key, told) {
    const flight = this.flights.get(key);
    this.flights.delete(key);
    this._events.delete(key);
    this._reports.delete(key);
    const callsign = String(told.data.callsign ?? flight?.callsign ?? '').toUpperCase();
    if (!callsign) return;
    this.deleted.delete(callsign);
    this.deleted.set(callsign, { ...flight, ...told.data, deleted_at: told.at });
    if (this.deleted.size > KEPT_DELETED) this.deleted.delete(/** @type {string} */ (this.deleted.keys().next().value));
  }
}

/** @param {Entry} data @returns {string | number | null} */
export function keyOf(data) {
  if (Number.isInteger(data.flight_uid)) return data.flight_uid;
  return typeof data.callsign === 'string' && data.callsign ? data.callsign : null;
}

/** @param {Entry} flight @param {Entry} data @param {string} at */
function take(flight, data, at) {
  for (const [field, value] of Object.entries(data)) {
    if (!NOT_OF_A_FLIGHT.has(field)) flight[ALIASES.get(field) ?? field] = value;
  }
  flight.updated_at = at;
}

/** Tell whether one event id comes after another. @param {unknown} one @param {unknown} other */
export function isAfter(one, other) {
  const [a, b] = [parse(one), parse(other)];
  if (!a || !b) return b === null;
  return a[0] !== b[0] ? a[0] > b[0] : a[1] > b[1];
}

/** @param {unknown} id */
function parse(id) {
  const found = typeof id === 'string' ? /^(\d{1,15})-(\d{1,10})$/.exec(id) : null;
  return found ? [Number(found[1]), Number(found[2])] : null;
}
