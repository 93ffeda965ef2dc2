/** The panel beside the map: flights, the board of an airport, measures, filters. */

import { byId, fill, make, setText } from '../common/dom.js';
import { areSet, readWords } from './filters.js';
import { filterForm } from './forms.js';
import { airportBoard, airportsOf, flightList, measureList } from './lists.js';
import { toX, toY } from './mercator.js';
import { bandOf } from './motion.js';

export const TABS = /** @type {const} */ (['flights', 'airport', 'measures', 'filters']);

/** @typedef {import('./live_map.js').Key} Key */

export class Panel {
  /** @param {import('./live_map.js').LiveMap} map */
  constructor(map) {
    this._map = map;
    this.pane = byId('pane', HTMLElement);
    /** @type {string} */
    this.tab = 'flights';
  }

  /** Show what an address says. @param {string | null} tab */
  openAsTold(tab) {
    this.open(TABS.find((each) => each === tab) ?? 'flights');
  }

  /** @param {string} tab */
  open(tab) {
    this.tab = tab;
    this._map.view.tab = tab === 'flights' ? null : tab;
    for (const name of TABS) {
      const button = byId(`tab-${name}`, HTMLButtonElement);
      button.setAttribute('aria-selected', String(name === tab));
      button.tabIndex = name === tab ? 0 : -1;
    }
    this.pane.setAttribute('aria-labelledby', `tab-${tab}`);
    this.pane.scrollTop = 0;
    this.show(true);
    this._map.keepAddress();
  }

  show(isNew = false) {
    const choice = { chosen: this._map.chosen.key, choose: (/** @type {Key} */ key) => this._map.chosen.choose(key, true) };
    const focused = document.activeElement instanceof HTMLElement && this.pane.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
    if (this.tab === 'filters') {
      if (isNew) fill(this.pane, filterForm(this._map.view.filters, (filters) => this.filter(filters)));
      return;
    }
    if (this.tab === 'flights') {
      fill(this.pane, flightList(this._map.shown, this._map.world.flights.size, (flight) => bandOf(flight.altitude_ft, flight.groundspeed_kts ?? 0), choice));
    } else if (this.tab === 'measures') {
      fill(this.pane, measureList([...this._map.world.measures], (code) => this.openBoard(code)));
    } else if (isNew || this._map.view.board) {
      this._showBoard(choice, isNew);
    }
    if (focused !== undefined) /** @type {HTMLElement | null} */ (this.pane.querySelector(`[data-key="${CSS.escape(focused)}"]`))?.focus();
  }

  /** @param {{ chosen: Key | null, choose: (key: Key) => void }} choice @param {boolean} isNew */
  _showBoard(choice, isNew) {
    const { board } = this._map.view;
    if (isNew || !document.getElementById('board-code')) {
      const input = make('input', { id: 'board-code', value: board ?? '', maxlength: 4, placeholder: 'ICAO code, like KJFK', autocomplete: 'off', spellcheck: 'false', autocapitalize: 'characters', 'aria-label': 'Airport' });
      const form = make('form', { class: 'board-head' }, input, make('button', { class: 'plain', type: 'submit' }, 'Open'));
      form.addEventListener('submit', (event) => {
        event.preventDefault();
        this.openBoard(readWords(input.value)[0] ?? '');
      });
      fill(this.pane, form, make('div', { id: 'board' }));
    }
    const place = board ? (this._map.airports?.find(board) ?? null) : null;
    const measures = /** @type {[Key, Record<string, any>][]} */ ([...this._map.world.measures].filter(([, measure]) => board && airportsOf(measure).includes(board)));
    fill(byId('board', HTMLElement), board ? airportBoard(board, [...this._map.world.flights], place, choice, measures) : make('p', { class: 'empty' }, make('strong', {}, 'Whose board?'), 'Type an airport, or choose one of a flight.'));
  }

  /** @param {string} code */
  openBoard(code) {
    this._map.view.board = code || null;
    this.open('airport');
    void this._map.airports?.learn(code ? [code] : []).then(() => {
      this.show();
      const place = this._map.airports?.find(code);
      if (place) this._map.camera.flyTo(toX(place.longitude), toY(place.latitude), Math.max(this._map.camera.zoom, 5.5));
    });
  }

  /** @param {string} name @param {number} count */
  badge(name, count) {
    const tab = byId(`tab-${name}`, HTMLElement);
    const before = tab.querySelector('.badge');
    if (!count) before?.remove();
    else if (before) setText(before, String(count));
    else tab.append(make('span', { class: 'badge' }, String(count)));
  }

  /** @param {import('./filters.js').Filters} filters */
  filter(filters) {
    const wasCleared = !areSet(filters) && areSet(this._map.view.filters);
    this._map.view.filters = filters;
    this._map.isStale = this._map.isRestless = true;
    this._map.keepAddress();
    if (wasCleared && this.tab === 'filters' && document.activeElement instanceof HTMLButtonElement) this.show(true);
    this._map.refresh();
  }

  /** @param {KeyboardEvent} event */
  moveTab(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = TABS[(TABS.findIndex((name) => name === this.tab) + step + TABS.length) % TABS.length];
    this.open(next);
    byId(`tab-${next}`, HTMLElement).focus();
  }
}
