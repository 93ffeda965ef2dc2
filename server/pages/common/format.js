/** Numbers and times as this field writes them. Pure. */

/** @param {unknown} value @returns {string} */
export function text(value) {
  return value === null || value === undefined || value === '' ? '–' : String(value);
}

/**
 * An altitude: feet below the transition, flight levels above.
 * @param {unknown} feet
 */
export function altitude(feet) {
  if (typeof feet !== 'number') return '–';
  if (feet >= 18_000) return `FL${String(Math.round(feet / 100)).padStart(3, '0')}`;
  return `${grouped(Math.round(feet / 100) * 100)} ft`;
}

/** @param {unknown} feet the three digits of a label */
export function level(feet) {
  return typeof feet === 'number' ? String(Math.max(0, Math.round(feet / 100))).padStart(3, '0') : '---';
}

/** @param {number} number */
export function grouped(number) {
  return Math.round(number).toLocaleString('en-US');
}

/** @param {unknown} knots */
export function speed(knots) {
  return typeof knots === 'number' ? `${Math.round(knots)} kt` : '–';
}

/** @param {unknown} degrees */
export function heading(degrees) {
  return typeof degrees === 'number' ? `${String(Math.round(degrees) % 360).padStart(3, '0')}°` : '–';
}

/** @param {unknown} moment a text of RFC 3339, or milliseconds */
export function clock(moment) {
  const date = typeof moment === 'string' || typeof moment === 'number' ? new Date(moment) : null;
  if (!date || Number.isNaN(date.getTime())) return '–';
  return `${date.toISOString().slice(11, 16)}Z`;
}

/** @param {unknown} moment */
export function exactClock(moment) {
  const date = typeof moment === 'string' || typeof moment === 'number' ? new Date(moment) : null;
  if (!date || Number.isNaN(date.getTime())) return '–';
  return `${date.toISOString().slice(11, 19)}Z`;
}

/**
 * How long, in at most two units.
 * @param {unknown} seconds
 */
export function duration(seconds) {
  if (typeof seconds !== 'number' || !Number.isFinite(seconds)) return '–';
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)} h ${Math.round((seconds % 3_600) / 60)} min`;
  return `${Math.floor(seconds / 86_400)} d ${Math.round((seconds % 86_400) / 3_600)} h`;
}

/** @param {unknown} bytes */
export function size(bytes) {
  if (typeof bytes !== 'number') return '–';
  const units = ['B', 'KiB', 'MiB', 'GiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1_024 && unit < units.length - 1) {
    value /= 1_024;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** @param {number} count @param {string} one @param {string} [many] */
export function counted(count, one, many = `${one}s`) {
  return `${grouped(count)} ${count === 1 ? one : many}`;
}
