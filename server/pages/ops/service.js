/** What the operator's page asks of the service: with the session's cookie, which no script can read. */

/** The session is over, or there was none. */
export class SignedOut extends Error {}

export class Service {
  /** @param {string} folder where the service is */
  constructor(folder) {
    this._folder = folder;
  }

  /**
   * @param {string} name
   * @param {Record<string, string>} [query]
   */
  async data(name, query = {}) {
    const url = new URL(`${this._folder}ops/data/${name}`);
    for (const [key, value] of Object.entries(query)) if (value) url.searchParams.set(key, value);
    return this._ask(url.href, { method: 'GET' });
  }

  /** @param {string} name @param {Record<string, unknown>} [content] */
  async act(name, content = {}) {
    return this._post(`ops/actions/${name}`, content);
  }

  /** Whether this browser has a session. @returns {Promise<boolean>} */
  async hasSession() {
    return (await this._ask(`${this._folder}ops/session`, { method: 'GET' })).is_open === true;
  }

  /** Exchange a token for a session. @param {string} token */
  async open(token) {
    await this._post('ops/session', { token });
  }

  async close() {
    await this._post('ops/logout', {});
  }

  /** @param {string} path @param {Record<string, unknown>} content */
  _post(path, content) {
    return this._ask(this._folder + path, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-SWIM-Ops': '1' },
      body: JSON.stringify(content),
    });
  }

  /** @param {string} url @param {RequestInit} options */
  async _ask(url, options) {
    const response = await fetch(url, { ...options, credentials: 'same-origin', cache: 'no-store', referrerPolicy: 'no-referrer' });
    if (response.status === 204) return {};
    const body = await response.json().catch(() => ({}));
    if (response.ok) return body;
    const text = typeof body.message === 'string' ? body.message : `the service answered ${response.status}`;
    throw response.status === 401 ? new SignedOut(text) : new Error(text);
  }
}
