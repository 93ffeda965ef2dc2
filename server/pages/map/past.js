/** What history tells of a flight. */

import { exactClock } from '../common/format.js';
import { toX, toY } from './mercator.js';

/**
 * @typedef {import('./world.js').Told} Told
 * @typedef {(path: string, query: Record<string, string>) => Promise<{ body: any }>} Get
 */

const TYPES = 'flight.created,flight.updated,flight.departed,flight.arrived,flight.deleted';
const MAX_PAGES = 6;
const LOOK_BACK_MS = 6 * 3_600_000;

/** The events of a flight, positions left out, newest first. @param {Get} get @param {Record<string, any>} flight */
export async function flightHistory(get, flight) {
  if (typeof flight.callsign !== 'string' || !flight.callsign) return [];
  const found = await read(get, flight.callsign, flight.first_seen_at);
  return found.filter((told) => told.data.callsign === flight.callsign && (flight.flight_uid === undefined || told.data.flight_uid === flight.flight_uid)).reverse();
}

/** Say when a callsign was last told of; null: never. @param {Get} get @param {string} callsign */
export async function lastSeen(get, callsign) {
  const found = await read(get, callsign, new Date(Date.now() - LOOK_BACK_MS).toISOString());
  const last = found.filter((told) => String(told.data.callsign).toUpperCase() === callsign).pop();
  if (!last) return null;
  const what = last.type === 'flight.deleted' ? 'it went away' : `the last event of it is ${last.type}`;
  return `History says: ${what} at ${exactClock(last.at)}.`;
}

/**
 * Where aircraft were: all of them lately, or one since it was first seen.
 * @param {Get} get @param {Record<string, any> | null} flight
 * @returns {Promise<{ key: string | number, points: import('./motion.js').Past[] }[]>}
 */
export async function pastTrails(get, flight) {
  /** @type {Record<string, string>} */
  const query = {};
  if (flight) {
    const uid = flight.flight_uid;
    if (Number.isInteger(uid)) query.flight_uid = String(uid);
    else query.callsign = String(flight.callsign);
    if (typeof flight.first_seen_at === 'string') query.since = flight.first_seen_at;
  }
  const { body } = await get('map/trails', query);
  return readTrails(body, performance.now());
}

/**
 * @param {{ ages: number[], units: number, trails: [string | number, ...number[]][] }} told
 * @param {number} now
 */
export function readTrails({ ages, units, trails }, now) {
  return trails.map(([key, ...numbers]) => {
    const points = [];
    let [moment, latitude, longitude] = [0, 0, 0];
    for (let index = 0; index + 2 < numbers.length; index += 3) {
      moment += numbers[index];
      latitude += numbers[index + 1];
      longitude += numbers[index + 2];
      points.push({ x: toX(longitude / units), y: toY(latitude / units), at: now - ages[moment] * 1_000 });
    }
    return { key, points };
  });
}

/** @param {Get} get @param {string} callsign @param {unknown} since @returns {Promise<Told[]>} */
async function read(get, callsign, since) {
  /** @type {Told[]} */
  const found = [];
  /** @type {Record<string, string>} */
  let where = { since: typeof since === 'string' ? since : new Date(Date.now() - LOOK_BACK_MS).toISOString() };
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const { body } = await get('events', { channels: TYPES, callsign_prefix: callsign, limit: '1000', ...where });
    for (const event of body.events) found.push({ type: event.type, id: event.id ?? null, at: event.timestamp, data: event.data });
    if (body.is_last) break;
    where = { after: body.next_after };
  }
  return found;
}
