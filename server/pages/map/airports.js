/** Where airports are: asked for once each, in batches, and remembered. */

/**
 * @typedef {{ latitude: number, longitude: number }} Place
 * @typedef {(path: string, query: Record<string, string>) => Promise<{ body: any }>} Get
 */

const BATCH = 100;
const RETRY_MS = 30_000;

export class Airports {
  /** @param {Get} get */
  constructor(get) {
    this._get = get;
    /** @type {Map<string, Place | null>} null: there is none */
    this._places = new Map();
    this._failedAt = Number.NEGATIVE_INFINITY;
  }

  /** @param {unknown} code @returns {Place | null} */
  find(code) {
    return typeof code === 'string' ? (this._places.get(code) ?? null) : null;
  }

  /** Ask for those that are not known; a service that does not answer is asked again after a while. @param {unknown[]} codes */
  async learn(codes) {
    const wanted = [...new Set(codes)].filter(
      /** @returns {code is string} */ (code) => typeof code === 'string' && /^[A-Z0-9]{3,4}$/.test(code) && !this._places.has(code),
    );
    if (!wanted.length || performance.now() - this._failedAt < RETRY_MS) return;
    for (let begin = 0; begin < wanted.length; begin += BATCH) {
      const batch = wanted.slice(begin, begin + BATCH);
      for (const code of batch) this._places.set(code, null);
      try {
        const { body } = await this._get('map/airports', { codes: batch.join(',') });
        for (const code of batch) this._places.set(code, body.airports[code] ?? null);
      } catch {
        this._failedAt = performance.now();
        for (const code of batch) this._places.delete(code);
        return;
      }
    }
  }
}
