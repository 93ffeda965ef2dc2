/** Which flights are shown, and why one is not. The same kinds as a subscription has: AND between them, OR within. Pure. */

/**
 * @typedef {'airport' | 'centre' | 'fir' | 'callsign' | 'phase'} Kind
 * @typedef {Record<Kind, string[]>} Filters
 * @typedef {Record<string, any>} Flight
 */

/** @type {readonly Kind[]} */
export const KINDS = ['airport', 'centre', 'fir', 'callsign', 'phase'];
export const PHASES = ['PREFLIGHT', 'DEPARTING', 'CLIMBING', 'ENROUTE', 'DESCENDING', 'APPROACH', 'LANDED', 'ARRIVED'];
export const NAMES = { airport: 'Airport', centre: 'Centre', fir: 'FIR', callsign: 'Callsign', phase: 'Phase' };

/** @returns {Filters} */
export function noFilters() {
  return { airport: [], centre: [], fir: [], callsign: [], phase: [] };
}

/** Read what a person typed, or an address holds: words between commas or spaces. @param {string} words */
export function readWords(words) {
  return [...new Set(words.toUpperCase().split(/[\s,;]+/).filter((word) => /^[A-Z0-9_-]{1,12}$/.test(word)))];
}

/** @type {Record<Kind, (flight: Flight, values: string[]) => boolean>} */
const PASSES = {
  airport: (flight, values) => values.includes(upper(flight.dep)) || values.includes(upper(flight.arr)),
  centre: (flight, values) => values.includes(upper(flight.current_artcc)),
  fir: (flight, values) => values.includes(upper(flight.current_fir)) || values.includes(upper(flight.current_artcc)),
  callsign: (flight, values) => values.some((value) => upper(flight.callsign).startsWith(value)),
  phase: (flight, values) => values.includes(upper(flight.phase)),
};

/** @type {Record<Kind, (flight: Flight) => string>} */
const FOUND = {
  airport: (flight) => `${upper(flight.dep) || 'none'} to ${upper(flight.arr) || 'none'}`,
  centre: (flight) => upper(flight.current_artcc) || 'none',
  fir: (flight) => upper(flight.current_fir) || upper(flight.current_artcc) || 'none',
  callsign: (flight) => upper(flight.callsign) || 'none',
  phase: (flight) => upper(flight.phase) || 'not known',
};

/** @param {Flight} flight @param {Filters} filters */
export function passes(flight, filters) {
  return KINDS.every((kind) => filters[kind].length === 0 || PASSES[kind](flight, filters[kind]));
}

/**
 * Name each filter that hides a flight: what it lets through, and what the flight has.
 * @param {Flight} flight @param {Filters} filters
 */
export function hiddenBy(flight, filters) {
  return KINDS.filter((kind) => filters[kind].length > 0 && !PASSES[kind](flight, filters[kind])).map((kind) => ({
    kind,
    text: `${NAMES[kind]} must be ${filters[kind].join(' or ')}, and is ${FOUND[kind](flight)}`,
  }));
}

/** @param {Filters} filters */
export function areSet(filters) {
  return KINDS.some((kind) => filters[kind].length > 0);
}

/** @param {unknown} value */
function upper(value) {
  return typeof value === 'string' ? value.toUpperCase() : '';
}
