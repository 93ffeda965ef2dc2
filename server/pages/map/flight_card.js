/** The chosen flight: where it goes, how it flies, what was told of it lately, and why an event came or did not. */

import { fill, make } from '../common/dom.js';
import { altitude, clock, exactClock, heading, speed, text } from '../common/format.js';
import { distanceNm } from './mercator.js';

/**
 * @typedef {Record<string, any>} Flight
 * @typedef {import('./world.js').Told} Told
 * @typedef {(code: string) => { latitude: number, longitude: number } | null} FindAirport
 * @typedef {{
 *   close: () => void, openBoard: (code: string) => void, center: () => void,
 *   explain: (id: string) => Promise<{ outcome: string, why: string }>,
 * }} Actions
 */

const WORDS = new Map([
  ['flight.created', 'First seen'], ['flight.updated', 'Plan changed'], ['flight.departed', 'Departed'],
  ['flight.arrived', 'Arrived'], ['flight.position', 'Position'], ['flight.positions', 'Last position'], ['flight.deleted', 'Gone'],
]);

/**
 * Show a flight. Events that are open stay open over a new drawing.
 * @param {HTMLElement} card
 * @param {Flight} flight
 * @param {{ events: Told[], isLoading: boolean, hidden: { text: string }[] }} known
 * @param {FindAirport} findAirport
 * @param {Actions} actions
 * @param {Map<string, string>} explained answers by event id
 */
export function showFlight(card, flight, known, findAirport, actions, explained) {
  fill(
    card,
    make(
      'div',
      { class: 'card-head' },
      make('h2', {}, text(flight.callsign)),
      make('span', { class: 'chip' }, phaseWords(flight.phase)),
      make('button', { type: 'button', class: 'icon', 'aria-label': `Close ${text(flight.callsign)}`, title: 'Close (Esc)', onclick: actions.close }, '✕'),
    ),
    known.hidden.length > 0 && hiddenNote(known.hidden),
    route(flight, findAirport, actions),
    facts(flight, findAirport, actions),
    make('h3', { class: 'section' }, 'Recent events'),
    events(flight, known, actions, explained),
  );
}

/** @param {{ text: string }[]} hidden */
function hiddenNote(hidden) {
  return make('p', { class: 'why-not' }, `Hidden on the map: ${hidden.map((each) => each.text).join('; ')}.`);
}

/** @param {Flight} flight @param {FindAirport} findAirport @param {Actions} actions */
function route(flight, findAirport, actions) {
  const part = progress(flight, findAirport);
  const bar = make('i');
  bar.style.width = `${Math.round((part ?? 0) * 100)}%`;
  const end = (/** @type {unknown} */ code, /** @type {string} */ what) =>
    typeof code === 'string' && code
      ? make('button', { type: 'button', class: 'link number', title: `Board of ${code}`, 'aria-label': `${what} ${code}: open its board`, onclick: () => actions.openBoard(code) }, code)
      : make('span', {}, '–');
  const label = part === null ? 'Route' : `${Math.round(part * 100)} percent of the way flown`;
  return make(
    'div',
    { class: 'route' },
    end(flight.dep, 'Departure'),
    make('div', { class: 'line', role: 'img', 'aria-label': label }, bar),
    end(flight.arr, 'Arrival'),
  );
}

/** How much of the way is flown, 0 to 1; null: not known. @param {Flight} flight @param {FindAirport} findAirport */
export function progress(flight, findAirport) {
  const [from, to] = [findAirport(flight.dep), findAirport(flight.arr)];
  if (!from || !to || typeof flight.latitude !== 'number' || typeof flight.longitude !== 'number') return null;
  const flown = distanceNm(from.latitude, from.longitude, flight.latitude, flight.longitude);
  const left = distanceNm(flight.latitude, flight.longitude, to.latitude, to.longitude);
  return flown + left > 1 ? flown / (flown + left) : null;
}

/** @param {Flight} flight @param {FindAirport} findAirport @param {Actions} actions */
function facts(flight, findAirport, actions) {
  const to = findAirport(flight.arr);
  const left = to && typeof flight.latitude === 'number' ? distanceNm(flight.latitude, flight.longitude, to.latitude, to.longitude) : null;
  const climb = flight.vertical_rate_fpm;
  /** @type {[string, string][]} */
  const pairs = [
    ['Altitude', altitude(flight.altitude_ft)],
    ['Ground speed', speed(flight.groundspeed_kts)],
    ['Track', heading(flight.heading_deg)],
    ['Vertical', typeof climb === 'number' ? `${climb > 0 ? '+' : ''}${Math.round(climb)} fpm` : '–'],
    ['To go', left === null ? '–' : `${Math.round(left)} nm`],
    ['Aircraft', text(flight.equipment)],
    ['Centre', text(flight.current_artcc)],
    ['FIR', text(flight.current_fir)],
    ['Sector', text(flight.current_sector)],
    ['Off', clock(flight.off_utc)],
    ['In', clock(flight.in_utc)],
    ['Last report', exactClock(flight.updated_at)],
  ];
  const list = make('dl', { class: 'facts' });
  for (const [name, value] of pairs) list.append(make('div', {}, make('dt', {}, name), make('dd', {}, value)));
  if (flight.route) list.append(make('div', { class: 'wide' }, make('dt', {}, 'Route'), make('dd', {}, String(flight.route))));
  list.append(make('div', { class: 'wide' }, make('button', { type: 'button', class: 'link', onclick: actions.center }, 'Centre the map on it')));
  return list;
}

/** @param {Flight} flight @param {{ events: Told[], isLoading: boolean }} known @param {Actions} actions @param {Map<string, string>} explained */
function events(flight, known, actions, explained) {
  const list = make('ul', { class: 'events' });
  for (const told of known.events.slice(0, 12)) list.append(event(told, actions, explained));
  if (!known.events.some((told) => !told.type.startsWith('flight.position'))) {
    const since = flight.first_seen_at ? ` since it was first seen at ${exactClock(flight.first_seen_at)}` : '';
    list.append(make('li', {}, make('span', { class: 'small alone' }, known.isLoading ? 'Looking into history …' : `Nothing but positions${since}`)));
  }
  return list;
}

/** @param {Told} told @param {Actions} actions @param {Map<string, string>} explained */
function event(told, actions, explained) {
  const id = told.id;
  const why = id === null ? undefined : explained.get(id);
  const row = make(
    'li',
    {},
    make('time', { datetime: told.at }, exactClock(told.at)),
    make('span', {}, words(told)),
    id !== null && make('button', { type: 'button', class: 'link', 'aria-label': `Explain ${words(told)}`, onclick: () => ask(id) }, 'Explain'),
    why !== undefined && make('p', { class: 'why', role: 'status' }, why),
  );
  return row;

  /** @param {string} asked */
  async function ask(asked) {
    try {
      const { outcome, why: reason } = await actions.explain(asked);
      explained.set(asked, outcomeWords(outcome, reason));
    } catch (error) {
      explained.set(asked, error instanceof Error ? error.message : String(error));
    }
    row.querySelector('.why')?.remove();
    row.append(make('p', { class: 'why', role: 'status' }, explained.get(asked)));
  }
}

/** @param {string} outcome @param {string} reason which may begin with it */
function outcomeWords(outcome, reason) {
  const name = outcome.replaceAll('_', ' ');
  const told = reason.startsWith(name) ? reason : `${name}: ${reason}`;
  return `${told.charAt(0).toUpperCase()}${told.slice(1)}.`;
}

/** @param {Told} told */
function words(told) {
  const name = WORDS.get(told.type) ?? told.type;
  const changed = told.data.changed;
  return Array.isArray(changed) && changed.length ? `${name}: ${changed.slice(0, 4).join(', ').replaceAll('_', ' ')}` : name;
}

/** @param {unknown} phase */
export function phaseWords(phase) {
  if (typeof phase !== 'string' || !phase) return 'phase not known';
  return phase === 'ENROUTE' ? 'En route' : phase.charAt(0) + phase.slice(1).toLowerCase().replaceAll('_', ' ');
}
