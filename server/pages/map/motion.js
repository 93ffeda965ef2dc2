/**
 * Where aircraft are between two reports: each flies on as it was last seen, and a new report is taken in smoothly.
 * Pure: reports and moments in, places on the plane out.
 */

import { distanceNm, mile, toX, toY } from './mercator.js';

const FLY_ON_MS = 60_000;
const BLEND_MS = 1_200;
const STALE_MS = 120_000;
/** Points of a trail are this far apart in time, a little less than reports; the newest one moves along until then. */
const TRAIL_STEP_MS = 12_000;
const TRAIL_POINTS = 60;
/** Of older points one of so many is kept, and so many of these: a quarter of an hour, and half an hour before. */
const PAST_EVERY = 6;
const PAST_POINTS = 20;
const JUMP_NM = 40;
/** A picture is as good as before until something has moved by this much. */
const SEEN_PIXELS = 0.3;
const FASTEST_KNOTS = 650;
const LONGEST_REST_MS = 1_000;
const MIN_STEP_MS = 1_000;
const MS_AN_HOUR = 3_600_000;

/**
 * @typedef {{
 *   x: number, y: number, latitude: number, longitude: number, at: number,
 *   vx: number, vy: number, errorX: number, errorY: number,
 *   sin: number, cos: number, knots: number, band: number,
 *   trail: number[], trailFrom: number, trailAt: number, past: number[], isPastKnown: boolean,
 * }} Track
 */

/** @typedef {{ x: number, y: number, at: number }} Past where an aircraft was at a moment of `performance.now()` */

export class Motion {
  constructor() {
    /** @type {Map<string | number, Track>} */
    this.tracks = new Map();
    /** How much faster than real time the traffic moves: a simulator, or a recording that is played. */
    this.rate = 1;
    /** Until when new reports are being taken in, and by how much of the plane at most. */
    this._blending = { until: 0, by: 0 };
  }

  /**
   * Take in a report. Unusable ones leave the aircraft where it is.
   * @param {string | number} key
   * @param {Record<string, any>} flight
   * @param {number} now
   */
  report(key, flight, now) {
    const { latitude, longitude } = flight;
    if (typeof latitude !== 'number' || typeof longitude !== 'number') return;
    if (!(Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180)) return;
    const before = this.tracks.get(key);
    if (before && before.latitude === latitude && before.longitude === longitude && now - before.at < STALE_MS) {
      if (before.knots === (flight.groundspeed_kts ?? 0)) return;
    }
    const knots = typeof flight.groundspeed_kts === 'number' ? flight.groundspeed_kts : 0;
    const angle = ((flight.heading_deg ?? 0) * Math.PI) / 180;
    const track = /** @type {Track} */ (before ?? { trail: [], trailFrom: now, trailAt: Number.NEGATIVE_INFINITY, past: [], isPastKnown: false });
    const [x, y] = [toX(longitude), toY(latitude)];
    const moved = before ? distanceNm(before.latitude, before.longitude, latitude, longitude) : 0;
    if (before) this._learnRate(before, moved, now);
    const shown = before && moved < JUMP_NM * Math.max(1, this.rate) ? placeAt(before, now) : null;
    track.errorX = shown ? wrapped(shown[0] - x) : 0;
    track.errorY = shown ? shown[1] - y : 0;
    this._blend(Math.max(Math.abs(track.errorX), Math.abs(track.errorY)), now);
    if (!shown && before) Object.assign(track, { trail: [], past: [], trailFrom: now, trailAt: Number.NEGATIVE_INFINITY });
    Object.assign(track, { x, y, latitude, longitude, at: now, knots, sin: Math.sin(angle), cos: Math.cos(angle) });
    const step = (knots * this.rate * mile(latitude)) / MS_AN_HOUR;
    track.vx = knots > 30 ? track.sin * step : 0;
    track.vy = knots > 30 ? -track.cos * step : 0;
    track.band = bandOf(flight.altitude_ft, knots);
    this._lengthen(track, now);
    this.tracks.set(key, track);
  }

  /** @param {number} by @param {number} now */
  _blend(by, now) {
    if (now >= this._blending.until) this._blending.by = 0;
    this._blending = { until: now + BLEND_MS, by: Math.max(by, this._blending.by) };
  }

  /**
   * How long it takes until an aircraft has moved so far that it can be seen, in milliseconds.
   * @param {number} scale pixels of the whole plane @param {number} now
   */
  restMs(scale, now) {
    const { until, by } = this._blending;
    const byReports = now < until && by * scale > SEEN_PIXELS ? (SEEN_PIXELS * BLEND_MS) / (by * scale) : Number.POSITIVE_INFINITY;
    const pixels = (FASTEST_KNOTS * this.rate * mile(60) * scale) / MS_AN_HOUR;
    return Math.min(byReports, SEEN_PIXELS / pixels, LONGEST_REST_MS);
  }

  /** @param {Track} track @param {number} now */
  _lengthen(track, now) {
    const { trail, past } = track;
    const isFar = now - track.trailAt >= TRAIL_STEP_MS / Math.max(1, this.rate);
    if (!isFar && trail.length >= 4) trail.length -= 2;
    else track.trailAt = now;
    trail.push(track.x, track.y);
    if (trail.length > 2 * TRAIL_POINTS) {
      past.push(trail[0], trail[1]);
      trail.splice(0, 2 * PAST_EVERY);
      if (past.length > 2 * PAST_POINTS) past.splice(0, 2);
    }
  }

  /**
   * Take in where aircraft were before this page saw them, as history tells it; once for each.
   * @param {{ key: string | number, points: Past[] }[]} trails
   */
  addPast(trails) {
    for (const { key, points } of trails) {
      const track = this.tracks.get(key);
      if (!track || track.isPastKnown) continue;
      track.past = [...flat(points, track.trailFrom), ...track.past].slice(-2 * PAST_POINTS);
      track.isPastKnown = true;
    }
  }

  /** @param {string | number} key */
  remove(key) {
    this.tracks.delete(key);
  }

  /** Forget what is not among these any more. @param {Map<string | number, unknown>} flights */
  keepOnly(flights) {
    for (const key of this.tracks.keys()) if (!flights.has(key)) this.tracks.delete(key);
  }

  /** @param {Track} before @param {number} moved nautical miles @param {number} now */
  _learnRate(before, moved, now) {
    const expected = (before.knots * (now - before.at)) / MS_AN_HOUR;
    if (before.knots < 150 || now - before.at < MIN_STEP_MS || expected <= 0) return;
    const seen = moved / expected;
    if (seen > 0.2 && seen < 200) this.rate += (seen - this.rate) * 0.02;
    if (Math.abs(this.rate - 1) < 0.15) this.rate += (1 - this.rate) * 0.02;
  }
}

/**
 * Where an aircraft is drawn at a moment.
 * @param {Track} track @param {number} now
 * @returns {[number, number]}
 */
export function placeAt(track, now) {
  const elapsed = Math.min(now - track.at, FLY_ON_MS);
  const left = elapsed < BLEND_MS ? 1 - elapsed / BLEND_MS : 0;
  return [track.x + track.vx * elapsed + track.errorX * left, track.y + track.vy * elapsed + track.errorY * left];
}

/** Tell an aircraft that nothing was heard of for a while. @param {Track} track @param {number} now */
export function isStale(track, now) {
  return now - track.at > STALE_MS;
}

/**
 * The points that are older than a moment, as numbers. @param {Past[]} points @param {number} before
 * @returns {number[]}
 */
export function flat(points, before) {
  return points.filter(({ at }) => at < before).flatMap(({ x, y }) => [x, y]);
}

export const BANDS = ['ground', '0', '5,000', '10,000', '20,000', '30,000', '40,000'];
const FLOORS = [5_000, 10_000, 20_000, 30_000, 40_000];

/** Which colour an altitude has: 0 is the ground. @param {unknown} feet @param {number} knots */
export function bandOf(feet, knots) {
  const height = typeof feet === 'number' ? feet : 0;
  if (knots < 40) return 0;
  let band = 1;
  for (const floor of FLOORS) if (height >= floor) band += 1;
  return band;
}

/** @param {number} difference */
function wrapped(difference) {
  return difference - Math.round(difference);
}
