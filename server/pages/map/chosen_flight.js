/** The flight that a person has chosen, or has looked for: its card, its history, and why it is not there. */

import { byId } from '../common/dom.js';
import { exactClock } from '../common/format.js';
import { areSet, hiddenBy, noFilters, readWords } from './filters.js';
import { showFlight } from './flight_card.js';
import { sayWhyNot } from './forms.js';
import { flightHistory, lastSeen, pastTrails } from './past.js';
import { flat } from './motion.js';

/** @typedef {import('./live_map.js').Key} Key */

export class ChosenFlight {
  /** @param {import('./live_map.js').LiveMap} map */
  constructor(map) {
    this._map = map;
    /** @type {Key | null} */
    this.key = null;
    /** @type {{ key: Key | null, events: import('./world.js').Told[], isLoading: boolean, trail: number[] }} */
    this.past = { key: null, events: [], isLoading: false, trail: [] };
    /** @type {Map<string, string>} */
    this._explained = new Map();
    this._card = byId('card', HTMLElement);
  }

  /** Whether a flight is shown, or why one is not. */
  get isOpen() {
    return this.key !== null || !this._card.hidden;
  }

  /** @param {Key | null} key @param {boolean} [isCentred] */
  choose(key, isCentred = false) {
    this.key = key;
    this._map.isStale = this._map.isRestless = true;
    this._explained.clear();
    const flight = key === null ? undefined : this._map.world.flights.get(key);
    this._map.view.flight = flight ? String(flight.callsign ?? '') || null : null;
    this._map.keepAddress();
    this.past = { key, events: [], isLoading: key !== null, trail: [] };
    if (flight && key !== null) {
      void this._lookBack(key, flight);
      void this._lookBackOnTrail(key, flight);
      void this._map.airports?.learn([flight.dep, flight.arr]).then(() => this.key === key && this.show(true));
      if (isCentred) this.center(key);
    }
    this.show(true);
    if (this._map.panel.tab !== 'filters') this._map.panel.show();
  }

  /** @param {Key} key */
  center(key) {
    const track = this._map.motion.tracks.get(key);
    if (track) this._map.camera.flyTo(track.x, track.y, Math.max(this._map.camera.zoom, 5));
  }

  /** @param {Key} key @param {Record<string, any>} flight */
  async _lookBack(key, flight) {
    const feed = this._map.feed;
    if (!feed) return;
    const events = await flightHistory((path, query) => feed.get(path, query), flight).catch(() => []);
    if (this.past.key !== key) return;
    Object.assign(this.past, { events, isLoading: false });
    this.show(true);
  }

  /** @param {Key} key @param {Record<string, any>} flight */
  async _lookBackOnTrail(key, flight) {
    const { past } = this;
    const { feed } = this._map;
    const found = feed ? await pastTrails((path, query) => feed.get(path, query), flight).catch(() => []) : [];
    const track = this._map.motion.tracks.get(key);
    this._map.isRestless = true;
    if (track && this.past === past) past.trail = flat(found[0]?.points ?? [], track.trailFrom);
  }

  show(isNew = false) {
    const flight = this.key === null ? undefined : this._map.world.flights.get(this.key);
    if (!flight || this.key === null) {
      if (this.key === null && isNew) this._card.hidden = true;
      return;
    }
    if (!isNew && this._card.contains(document.activeElement)) return;
    const live = this._map.world.eventsOf(this.key);
    const ids = new Set(live.map((told) => told.id));
    const events = [...live, ...this.past.events.filter((told) => !ids.has(told.id))];
    const { key } = this.past;
    showFlight(
      this._card, flight,
      { events, isLoading: this.past.isLoading, hidden: hiddenBy(flight, this._map.view.filters) },
      (code) => this._map.airports?.find(code) ?? null,
      {
        close: () => this.choose(null),
        openBoard: (code) => this._map.panel.openBoard(code),
        center: () => key !== null && this.center(key),
        explain: (id) => this._map.feed?.explain(id) ?? Promise.reject(new Error('there is no connection')),
      },
      this._explained,
    );
    this._card.hidden = false;
  }

  /** Find a flight, or an airport; say why it is not there. @param {string} words @param {boolean} isTyped */
  search(words, isTyped) {
    const wanted = readWords(words)[0];
    if (!wanted) return;
    const key = this._map.world.find(wanted);
    if (key === null) {
      const isAirport = /^[A-Z]{4}$/.test(wanted) && [...this._map.world.flights.values()].some(({ dep, arr }) => dep === wanted || arr === wanted);
      if (isAirport) this._map.panel.openBoard(wanted);
      else void this._tellAbsent(wanted);
      return;
    }
    const flight = this._map.world.flights.get(key) ?? {};
    const hidden = hiddenBy(flight, this._map.view.filters).map((each) => each.text);
    if (typeof flight.latitude !== 'number') hidden.push('no source has told where it is yet');
    if (hidden.length && isTyped) {
      const remedy = areSet(this._map.view.filters) ? { text: 'Clear the filters', act: () => { this._map.panel.filter(noFilters()); this.choose(key, true); } } : null;
      this.choose(null);
      sayWhyNot(this._card, `${wanted} is known, and not shown:`, hidden, remedy, () => this.choose(null));
      return;
    }
    this.choose(key, isTyped || !this._map.view.camera);
  }

  /** @param {string} callsign */
  async _tellAbsent(callsign) {
    this.choose(null);
    const { past } = this;
    const { feed } = this._map;
    const gone = this._map.world.deleted.get(callsign);
    let reason = 'No source reports it, and history has nothing of it.';
    if (gone) reason = `It went away at ${exactClock(gone.deleted_at)}: its source no longer reports it.`;
    else if (feed) reason = (await lastSeen((path, query) => feed.get(path, query), callsign).catch(() => null)) ?? reason;
    if (this.past !== past) return; // another flight was chosen meanwhile
    sayWhyNot(this._card, `There is no ${callsign} now.`, [reason], null, () => this.choose(null));
  }
}
