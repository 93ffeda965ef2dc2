/** What of the page stands in its address, behind the #, so that a view can be shared. Never the key. Pure. */

import { KINDS, noFilters, readWords } from './filters.js';

/**
 * @typedef {{
 *   filters: import('./filters.js').Filters,
 *   camera: { latitude: number, longitude: number, zoom: number } | null,
 *   flight: string | null, board: string | null, tab: string | null, trails: boolean, labels: boolean, boundaries: boolean,
 * }} SharedView
 */

/** @param {string} hash @returns {SharedView} */
export function readView(hash) {
  const words = new URLSearchParams(hash.replace(/^#/, ''));
  const filters = noFilters();
  for (const kind of KINDS) filters[kind] = readWords(words.get(kind) ?? '');
  return {
    filters,
    camera: readCamera(words.get('at') ?? ''),
    flight: readWords(words.get('flight') ?? '')[0] ?? null,
    board: readWords(words.get('board') ?? '')[0] ?? null,
    tab: words.get('tab'),
    trails: words.get('trails') === '1',
    labels: words.get('labels') !== '0',
    boundaries: words.get('boundaries') !== '0',
  };
}

/** @param {SharedView} view @returns {string} */
export function writeView(view) {
  const words = [];
  for (const kind of KINDS) if (view.filters[kind].length) words.push(`${kind}=${view.filters[kind].join(',')}`);
  if (view.flight) words.push(`flight=${view.flight}`);
  if (view.board) words.push(`board=${view.board}`);
  if (view.tab) words.push(`tab=${view.tab}`);
  if (view.trails) words.push('trails=1');
  if (!view.labels) words.push('labels=0');
  if (!view.boundaries) words.push('boundaries=0');
  if (view.camera) {
    const { latitude, longitude, zoom } = view.camera;
    words.push(`at=${latitude.toFixed(3)},${longitude.toFixed(3)},${zoom.toFixed(2)}`);
  }
  return words.length ? `#${words.join('&')}` : '';
}

/** @param {string} words */
function readCamera(words) {
  const [latitude, longitude, zoom] = words.split(',').map(Number);
  const isUsable = [latitude, longitude, zoom].every((number) => Number.isFinite(number));
  if (!isUsable || Math.abs(latitude) > 85 || Math.abs(longitude) > 180) return null;
  return { latitude, longitude, zoom: Math.max(0, Math.min(14, zoom)) };
}
