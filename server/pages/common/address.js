/** Where the service is, as seen from a page of it: behind a proxy it may stand below any path. */

/** @typedef {{ folder: string, socket: string }} Address */

/**
 * Find the service from the page's own address. The daemon says by a meta element what follows the folder.
 * @param {Location} location
 * @param {string} page the page's name in its address
 * @param {string} socketPath
 * @returns {Address}
 */
export function findService(location, page, socketPath) {
  const path = location.pathname.replace(/\/+$/, '');
  const folder = location.origin + (path.endsWith(`/${page}`) ? path.slice(0, -page.length) : '/');
  return { folder, socket: folder.replace(/^http/, 'ws') + socketPath };
}

/** @returns {string} */
export function socketPath() {
  return document.querySelector('meta[name="swim-socket"]')?.getAttribute('content') ?? 'api/swim/v1/ws';
}
