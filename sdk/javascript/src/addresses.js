/** The addresses of a service, any of which will do: which one to try next, and when. Pure: chance is an argument. */

const BETWEEN = /\s*,\s*(?=[A-Za-z][A-Za-z0-9+.-]*:\/\/)/;

/** The addresses of a list, or of a text in which commas separate them; each once. */
export function splitUrls(given) {
  const texts = Array.isArray(given) ? given : [given];
  return [...new Set(texts.flatMap((text) => String(text).trim().replace(/,$/, '').split(BETWEEN)))];
}

/**
 * Takes turns over the addresses, in an order of this client's own, so that the clients of a node that fails spread
 * over all others. The backoff's waits come only between rounds, when every address has failed.
 */
export class Addresses {
  constructor(urls, random = Math.random) {
    this._urls = [...urls];
    for (let last = this._urls.length - 1; last > 0; last -= 1) {
      const other = Math.floor(random() * (last + 1));
      [this._urls[last], this._urls[other]] = [this._urls[other], this._urls[last]];
    }
    this._at = 0;
    this._failures = 0;
  }

  /** The address in use, or the next one to be tried. */
  get current() {
    return this._urls[this._at];
  }

  /** Whether no other address is left in this round should the current one fail. */
  get isLast() {
    return this._failures + 1 >= this._urls.length;
  }

  /**
   * Note the end of a connection that was admitted. `isAskedBack`: the server said when to return, so it will be there:
   * the clients of nodes that are restarted one after the other move once each.
   */
  ended(isAskedBack) {
    this._failures = 0;
    if (!isAskedBack) this._turn();
  }

  /** Note a failed attempt, and turn to the next address; whether every address has failed now: wait before it. */
  failed() {
    const isRoundOver = this.isLast;
    this._failures = isRoundOver ? 0 : this._failures + 1;
    this._turn();
    return isRoundOver;
  }

  _turn() {
    this._at = (this._at + 1) % this._urls.length;
  }
}
