/** The panel's lists: flights, the board of an airport, measures. Each is made anew from what is known, a few rows long. */

import { make } from '../common/dom.js';
import { altitude, clock, counted, duration, grouped, text } from '../common/format.js';
import { phaseWords } from './flight_card.js';
import { distanceNm } from './mercator.js';

/**
 * @typedef {Record<string, any>} Flight
 * @typedef {[string | number, Flight]} Row
 * @typedef {{ chosen: string | number | null, choose: (key: string | number) => void }} Choice
 * @typedef {{ latitude: number, longitude: number }} Place
 */

const MAX_ROWS = 100;
const BOARD_ROWS = 30;

/** @param {Row[]} shown @param {number} total @param {(flight: Flight, key: string | number) => number} band @param {Choice} choice */
export function flightList(shown, total, band, choice) {
  if (!shown.length) {
    return empty(total ? 'No flight passes the filters' : 'No traffic just now', total ? `${grouped(total)} are known.` : 'Flights appear here as soon as a source reports them.');
  }
  const rows = [...shown].sort(([, one], [, other]) => String(one.callsign).localeCompare(String(other.callsign)));
  const body = make('tbody');
  for (const [key, flight] of rows.slice(0, MAX_ROWS)) {
    const mark = make('i', { 'aria-hidden': 'true' });
    mark.style.background = `var(--alt${band(flight, key)})`;
    body.append(
      row(key, choice, [
        named(flight, key, choice, mark),
        make('td', {}, `${text(flight.dep)} – ${text(flight.arr)}`),
        make('td', { class: 'number' }, altitude(flight.altitude_ft)),
      ]),
    );
  }
  const more = rows.length > MAX_ROWS && make('p', { class: 'more' }, `The first ${MAX_ROWS} of ${grouped(rows.length)}. Filter, or search for a callsign.`);
  return wrap(table('Flights on the map', ['Flight', 'Route', 'Altitude'], body, [2]), more);
}

/**
 * The arrivals and departures of an airport.
 * @param {string} code @param {Row[]} all @param {Place | null} place @param {Choice} choice @param {Row[]} measures
 */
export function airportBoard(code, all, place, choice, measures) {
  const arrivals = all.filter(([, flight]) => flight.arr === code).map((each) => ({ each, seconds: secondsToGo(each[1], place) }));
  arrivals.sort((one, other) => one.seconds - other.seconds);
  const departures = all.filter(([, flight]) => flight.dep === code);
  departures.sort(([, one], [, other]) => String(other.off_utc ?? '~').localeCompare(String(one.off_utc ?? '~')));
  const inbound = make('tbody');
  for (const { each: [key, flight], seconds } of arrivals.slice(0, BOARD_ROWS)) {
    const when = flight.in_utc ? `in ${clock(flight.in_utc)}` : seconds < 1e9 ? duration(seconds) : phaseWords(flight.phase);
    inbound.append(row(key, choice, [named(flight, key, choice), make('td', {}, text(flight.dep)), make('td', { class: 'number' }, when)]));
  }
  const outbound = make('tbody');
  for (const [key, flight] of departures.slice(0, BOARD_ROWS)) {
    const when = flight.off_utc ? `off ${clock(flight.off_utc)}` : phaseWords(flight.phase);
    outbound.append(row(key, choice, [named(flight, key, choice), make('td', {}, text(flight.arr)), make('td', { class: 'number' }, when)]));
  }
  return wrap(
    ...measures.map(([, measure]) => measureEntry(measure, null)),
    make('h3', { class: 'section' }, counted(arrivals.length, 'arrival')),
    arrivals.length ? table(`Arrivals at ${code}`, ['Flight', 'From', 'To go'], inbound, [2]) : none('Nobody is on the way there.'),
    make('h3', { class: 'section' }, counted(departures.length, 'departure')),
    departures.length ? table(`Departures from ${code}`, ['Flight', 'To', 'Time'], outbound, [2]) : none('Nobody departs from there.'),
  );
}

/** @param {Row[]} measures @param {(code: string) => void} openBoard */
export function measureList(measures, openBoard) {
  if (!measures.length) return empty('No measures hold', 'Ground stops and flow measures appear here when they are issued.');
  const sorted = [...measures].sort(([, one], [, other]) => String(one.start_time).localeCompare(String(other.start_time)));
  return wrap(...sorted.map(([, measure]) => measureEntry(measure, openBoard)));
}

/** @param {Record<string, any>} measure @param {((code: string) => void) | null} openBoard */
function measureEntry(measure, openBoard) {
  const airports = airportsOf(measure);
  const title = airports.length === 1 ? airports[0] : measure.ident ?? `${airports.length || 'No'} airports`;
  return make(
    'article',
    { class: 'measure' },
    make(
      'header',
      {},
      make('h3', {}, openBoard && airports.length === 1 ? make('button', { type: 'button', class: 'link', onclick: () => openBoard(airports[0]) }, title) : text(title)),
      make('span', { class: `chip ${isStop(measure) ? 'bad' : 'warn'}` }, measureName(measure)),
      measure.status ? make('span', { class: 'small' }, String(measure.status).toLowerCase()) : null,
    ),
    make('p', { class: 'number' }, `${clock(measure.start_time)} to ${clock(measure.end_time)}`),
    measure.reason ? make('p', { class: 'small' }, String(measure.reason)) : null,
    airports.length > 1 ? make('p', { class: 'small' }, airports.slice(0, 30).join(' ')) : null,
  );
}

/** @param {Record<string, any>} measure @returns {string[]} */
export function airportsOf(measure) {
  const found = Array.isArray(measure.airports) ? measure.airports : [];
  const all = typeof measure.airport === 'string' && measure.airport ? [measure.airport, ...found] : found;
  return [...new Set(all.filter((code) => typeof code === 'string' && /^[A-Z0-9]{3,4}$/.test(code)))];
}

/** @param {Record<string, any>} measure */
export function isStop(measure) {
  return /^(GS|ground_?stop|prohibit)/i.test(String(measure.program_type ?? ''));
}

/** @param {Record<string, any>} measure */
export function measureName(measure) {
  const type = String(measure.program_type ?? 'measure');
  if (type.toUpperCase() === 'GS') return 'Ground stop';
  return type.length <= 4 ? type.toUpperCase() : (type.charAt(0).toUpperCase() + type.slice(1)).replaceAll('_', ' ');
}

/** @param {Flight} flight @param {Place | null} place */
function secondsToGo(flight, place) {
  if (flight.in_utc) return Number.POSITIVE_INFINITY;
  if (!place || typeof flight.latitude !== 'number' || !(flight.groundspeed_kts > 60)) return Number.MAX_VALUE;
  const left = distanceNm(flight.latitude, flight.longitude, place.latitude, place.longitude);
  return (left / flight.groundspeed_kts) * 3_600;
}

/** @param {string} caption @param {string[]} columns @param {HTMLElement} body @param {number[]} numbers */
function table(caption, columns, body, numbers) {
  const head = make('tr');
  columns.forEach((column, index) => head.append(make('th', { scope: 'col', class: numbers.includes(index) ? 'number' : null }, column)));
  return make('table', { class: 'rows' }, make('caption', { class: 'unseen' }, caption), make('thead', {}, head), body);
}

/** @param {string | number} key @param {Choice} choice @param {HTMLElement[]} cells */
function row(key, choice, cells) {
  const made = make('tr', { class: key === choice.chosen ? 'chosen' : null, onclick: () => choice.choose(key) });
  made.append(...cells);
  return made;
}

/** @param {Flight} flight @param {string | number} key @param {Choice} choice @param {HTMLElement} [mark] */
function named(flight, key, choice, mark) {
  const button = make('button', { type: 'button', class: 'link', 'data-key': key, onclick: (/** @type {Event} */ event) => {
    event.stopPropagation();
    choice.choose(key);
  } }, text(flight.callsign));
  return make('td', {}, mark ?? null, button);
}

/** @param {...(Node | false)} children */
function wrap(...children) {
  const box = make('div');
  for (const child of children) if (child) box.append(child);
  return box;
}

/** @param {string} title @param {string} more */
function empty(title, more) {
  return make('p', { class: 'empty' }, make('strong', {}, title), more);
}

/** @param {string} words */
function none(words) {
  return make('p', { class: 'more' }, words);
}
