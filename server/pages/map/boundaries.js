/** The boundaries that the service has been given: asked for once, after the first picture. */

import { toX, toY, UNITS } from './mercator.js';

/**
 * @typedef {{ firs: Path2D, sectors: Path2D, names: { name: string, x: number, y: number }[] }} Boundaries
 * @typedef {{ units: number, firs: number[][], sectors: number[][], labels: [string, number, number][] }} Lines
 */

/** Make paths of the service's lines; null: there are none. @param {Lines} lines @returns {Boundaries | null} */
export function readBoundaries({ units, firs, sectors, labels }) {
  if (!firs.length && !sectors.length) return null;
  return {
    firs: path(firs, units),
    sectors: path(sectors, units),
    names: labels.map(([name, latitude, longitude]) => ({ name, x: toX(longitude), y: toY(latitude) })),
  };
}

/** @param {number[][]} lines @param {number} units */
function path(lines, units) {
  const drawn = new Path2D();
  for (const line of lines) {
    places(line, units).forEach(([longitude, latitude], index) => {
      const [x, y] = [toX(longitude) * UNITS, toY(latitude) * UNITS];
      if (index === 0) drawn.moveTo(x, y);
      else drawn.lineTo(x, y);
    });
  }
  return drawn;
}

/**
 * The places of a line that is told as its first point and the steps from each to the next.
 * @param {number[]} line @param {number} units how many steps a degree has
 * @returns {[number, number][]} longitude and latitude
 */
export function places(line, units) {
  /** @type {[number, number][]} */
  const found = [];
  let [longitude, latitude] = [0, 0];
  for (let index = 0; index + 1 < line.length; index += 2) {
    longitude += line[index];
    latitude += line[index + 1];
    found.push([longitude / units, latitude / units]);
  }
  return found;
}
