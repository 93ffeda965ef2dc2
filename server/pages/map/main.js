/** The live map: puts the parts together and keeps what a person has chosen. */

import { findService, socketPath } from '../common/address.js';
import { byId, fill, make, setText } from '../common/dom.js';
import { duration, exactClock, grouped } from '../common/format.js';
import { followTheme } from '../common/theme.js';
import { Airports } from './airports.js';
import { readBoundaries } from './boundaries.js';
import { Camera } from './camera.js';
import { Feed } from './feed.js';
import { areSet, hiddenBy, noFilters, passes, readWords } from './filters.js';
import { showFlight } from './flight_card.js';
import { askForKey, filterForm, sayWhyNot } from './forms.js';
import { flightHistory, lastSeen, pastTrails } from './history.js';
import { Land } from './land.js';
import { airportBoard, airportsOf, flightList, isStop, measureList } from './lists.js';
import { toX, toY } from './mercator.js';
import { BANDS, bandOf, flat, Motion } from './motion.js';
import { readView, writeView } from './shared_view.js';
import { Traffic } from './traffic.js';
import { Trails } from './trails.js';
import { World } from './world.js';

const KEPT_KEY = 'swim-key';
const SLOW_MS = 1_000;
const CALM_FRAME_MS = 1_000;
const ADDRESS_MS = 400;
const TABS = /** @type {const} */ (['flights', 'airport', 'measures', 'filters']);

/** @typedef {string | number} Key */

class LiveMap {
  constructor() {
    this.address = findService(window.location, 'map', socketPath());
    this.view = readView(window.location.hash);
    this.world = new World();
    this.motion = new Motion();
    /** @type {Feed | null} */
    this.feed = null;
    /** @type {Airports | null} */
    this.airports = null;
    /** @type {Key | null} */
    this.chosen = null;
    /** @type {Key | null} */
    this.hovered = null;
    /** @type {Map<string, string>} */
    this.explained = new Map();
    /** @type {{ key: Key | null, events: import('./world.js').Told[], isLoading: boolean, trail: number[] }} */
    this.past = { key: null, events: [], isLoading: false, trail: [] };
    /** @type {import('./boundaries.js').Boundaries | null} */
    this.boundaries = null;
    this.hasAskedBoundaries = false;
    this.hasPastTrails = false;
    /** @type {[Key, Record<string, any>][]} */
    this.shown = [];
    this.isStale = true;
    this.heardAt = 0;
    this.drawnAt = Number.NEGATIVE_INFINITY;
    this.drawnVersion = -1;
    /** A running mean of what the script spends on a frame; the canvas tells it, for who measures. */
    this.drawMs = 0;
    this.hasDrawnTraffic = false;
    /** @type {import('./traffic.js').Mark[]} */
    this.marks = [];
    this.camera = new Camera(byId('traffic', HTMLCanvasElement));
    this.land = new Land(byId('land', HTMLCanvasElement), JSON.parse(byId('world', HTMLElement).textContent ?? '{}'));
    this.trails = new Trails(byId('trail', HTMLCanvasElement));
    this.traffic = new Traffic(byId('traffic', HTMLCanvasElement));
    this.pane = byId('pane', HTMLElement);
    this.card = byId('card', HTMLElement);
    this.notice = byId('notice', HTMLElement);
  }

  begin() {
    this.bindView();
    this.bindButtons();
    this.openTab(TABS.find((tab) => tab === this.view.tab) ?? 'flights');
    requestAnimationFrame((now) => this.frame(now));
    setInterval(() => this.refresh(), SLOW_MS);
    const key = sessionStorage.getItem(KEPT_KEY);
    if (key) this.connect(key);
    else askForKey(null, (typed) => this.connect(typed));
  }

  // The service.

  /** @param {string} key */
  connect(key) {
    sessionStorage.setItem(KEPT_KEY, key);
    this.feed?.stop();
    const feed = (this.feed = new Feed(this.address, key, {
      stage: (stage, text) => this.feed === feed && this.showStage(stage, text),
      flights: (flights) => this.replace(flights),
      measures: (measures) => {
        this.world.replaceMeasures(measures);
        this.isStale = true;
      },
      event: (told) => this.take(told),
      heartbeat: (data) => this.showSources(data.sources ?? {}),
      gap: (reason) => this.tell(`Some events may be missing (${reason}). The traffic was loaded again.`, 12_000),
      refused: (text) => {
        if (this.feed !== feed) return;
        sessionStorage.removeItem(KEPT_KEY);
        askForKey(`${text}. Type a key that this service knows.`, (typed) => this.connect(typed));
      },
    }));
    this.airports = new Airports((path, query) => feed.get(path, query));
    void feed.run();
  }

  /** @param {Record<string, any>[]} flights */
  replace(flights) {
    this.world.replaceFlights(flights);
    this.motion.keepOnly(this.world.flights);
    const now = performance.now();
    for (const [key, flight] of this.world.flights) this.motion.report(key, flight, now);
    this.isStale = true;
    this.heardAt = Date.now();
    if (this.view.flight && this.chosen === null) this.search(this.view.flight, false);
    this.refresh();
    this.hasPastTrails = false;
    void this.loadPastTrails();
    void this.loadBoundaries();
  }

  /** Ask where the aircraft were before this page saw them, once they have trails. */
  async loadPastTrails() {
    const { feed } = this;
    if (!feed || !this.view.trails || this.hasPastTrails) return;
    this.hasPastTrails = true;
    try {
      this.motion.addPast(await pastTrails((path, query) => feed.get(path, query), null));
    } catch (error) {
      if (this.feed === feed) this.tell(`The trails begin now: ${error instanceof Error ? error.message : error}.`, 8_000);
    }
  }

  async loadBoundaries() {
    const { feed } = this;
    if (!feed || this.hasAskedBoundaries) return;
    this.hasAskedBoundaries = true;
    try {
      const { body } = await feed.get('map/boundaries', {}, 'no-cache');
      this.boundaries = readBoundaries(body);
      if (body.problem) this.tell(`There are no boundaries: ${body.problem}.`, 12_000);
    } catch (error) {
      this.hasAskedBoundaries = false;
      if (this.feed === feed) this.tell(`The boundaries could not be loaded: ${error instanceof Error ? error.message : error}.`, 8_000);
    }
    this.showToggles();
  }

  /** @param {import('./world.js').Told} told */
  take(told) {
    this.heardAt = Date.now();
    if (told.type.startsWith('tmi.')) {
      this.world.foldMeasure(told);
    } else if (told.type === 'flight.positions') {
      for (const row of Array.isArray(told.data.positions) ? told.data.positions : []) {
        const key = this.world.foldPosition(row, told.at, told.id);
        if (key !== null) this.motion.report(key, this.world.flights.get(key) ?? row, performance.now());
      }
    } else {
      const key = this.world.foldFlight(told);
      if (key === null) return;
      const flight = this.world.flights.get(key);
      if (flight) this.motion.report(key, flight, performance.now());
      else this.forget(key);
    }
    this.isStale = true;
  }

  /** @param {Key} key */
  forget(key) {
    this.motion.remove(key);
    if (key !== this.chosen) return;
    this.choose(null);
    this.tell('The flight that was chosen has gone.', 6_000);
  }

  // What is drawn.

  /** @param {number} now */
  frame(now) {
    requestAnimationFrame((next) => this.frame(next));
    const isMoving = this.camera.advance(now);
    const isCalm = this.camera.isCalm.matches && !isMoving && this.camera.version === this.drawnVersion;
    if (document.hidden || (isCalm && now - this.drawnAt < CALM_FRAME_MS)) return;
    this.drawnAt = now;
    this.drawnVersion = this.camera.version;
    if (this.isStale) this.sift();
    this.land.draw(this.camera, now);
    const began = performance.now();
    this.traffic.draw(
      this.camera, this.shown, this.motion.tracks, this.marks,
      { chosen: this.chosen, hovered: this.hovered, past: this.past.trail, labels: this.view.labels }, began,
    );
    this.trails.draw(this.camera, this.view.trails ? this.traffic.drawn : null, now);
    this.drawMs += (performance.now() - began - this.drawMs) * 0.1;
    if (!this.hasDrawnTraffic && this.traffic.drawn.length) {
      this.hasDrawnTraffic = true;
      performance.mark('traffic');
    }
  }

  sift() {
    const { filters } = this.view;
    this.shown = areSet(filters) ? [...this.world.flights].filter(([, flight]) => passes(flight, filters)) : [...this.world.flights];
    const chosen = this.chosen === null ? undefined : this.world.flights.get(this.chosen);
    if (this.chosen !== null && chosen && !passes(chosen, filters)) this.shown.push([this.chosen, chosen]);
    this.isStale = false;
  }

  /** Once a second: lists, the card, the figures. */
  refresh() {
    if (document.hidden) return;
    if (this.isStale) this.sift();
    void this.placeMarks();
    const total = this.world.flights.size;
    const filtered = areSet(this.view.filters);
    fill(byId('counts', HTMLElement), make('strong', {}, grouped(this.shown.length)), filtered ? ` of ${grouped(total)} flights` : ' flights', this.heardAt ? ` · ${exactClock(this.heardAt)}` : '');
    byId('traffic', HTMLElement).dataset.drawMs = this.drawMs.toFixed(2);
    byId('traffic', HTMLElement).setAttribute('aria-label', `Live map: ${grouped(this.shown.length)} flights`);
    this.badge('measures', this.world.measures.size);
    this.badge('filters', Object.values(this.view.filters).filter((values) => values.length).length);
    if (!this.pane.contains(document.activeElement) || this.tab === 'flights') this.showPane();
    this.showCard();
  }

  async placeMarks() {
    const measures = [...this.world.measures.values()];
    const codes = [...new Set(measures.flatMap(airportsOf))];
    await this.airports?.learn([...codes, ...(this.view.board ? [this.view.board] : [])]);
    this.marks = measures.flatMap((measure) =>
      airportsOf(measure).flatMap((code) => {
        const place = this.airports?.find(code);
        return place ? [{ x: toX(place.longitude), y: toY(place.latitude), kind: isStop(measure) ? /** @type {const} */ ('stop') : /** @type {const} */ ('flow'), label: `${code} ${isStop(measure) ? 'GS' : 'flow'}` }] : [];
      }),
    );
  }

  // The panel.

  /** @param {string} tab */
  openTab(tab) {
    this.tab = tab;
    this.view.tab = tab === 'flights' ? null : tab;
    for (const name of TABS) {
      const button = byId(`tab-${name}`, HTMLButtonElement);
      button.setAttribute('aria-selected', String(name === tab));
      button.tabIndex = name === tab ? 0 : -1;
    }
    this.pane.setAttribute('aria-labelledby', `tab-${tab}`);
    this.pane.scrollTop = 0;
    this.showPane(true);
    this.keepAddress();
  }

  showPane(isNew = false) {
    const choice = { chosen: this.chosen, choose: (/** @type {Key} */ key) => this.choose(key, true) };
    const focused = document.activeElement instanceof HTMLElement && this.pane.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
    if (this.tab === 'filters') {
      if (isNew) fill(this.pane, filterForm(this.view.filters, (filters) => this.filter(filters)));
      return;
    }
    if (this.tab === 'flights') {
      fill(this.pane, flightList(this.shown, this.world.flights.size, (flight) => bandOf(flight.altitude_ft, flight.groundspeed_kts ?? 0), choice));
    } else if (this.tab === 'measures') {
      fill(this.pane, measureList([...this.world.measures], (code) => this.openBoard(code)));
    } else if (isNew || this.view.board) {
      this.showBoard(choice, isNew);
    }
    if (focused !== undefined) /** @type {HTMLElement | null} */ (this.pane.querySelector(`[data-key="${CSS.escape(focused)}"]`))?.focus();
  }

  /** @param {{ chosen: Key | null, choose: (key: Key) => void }} choice @param {boolean} isNew */
  showBoard(choice, isNew) {
    const { board } = this.view;
    if (isNew || !document.getElementById('board-code')) {
      const input = make('input', { id: 'board-code', value: board ?? '', maxlength: 4, placeholder: 'ICAO code, like KJFK', autocomplete: 'off', spellcheck: 'false', autocapitalize: 'characters', 'aria-label': 'Airport' });
      const form = make('form', { class: 'board-head' }, input, make('button', { class: 'plain', type: 'submit' }, 'Open'));
      form.addEventListener('submit', (event) => {
        event.preventDefault();
        this.openBoard(readWords(input.value)[0] ?? '');
      });
      fill(this.pane, form, make('div', { id: 'board' }));
    }
    const place = board ? (this.airports?.find(board) ?? null) : null;
    const measures = /** @type {[Key, Record<string, any>][]} */ ([...this.world.measures].filter(([, measure]) => board && airportsOf(measure).includes(board)));
    fill(byId('board', HTMLElement), board ? airportBoard(board, [...this.world.flights], place, choice, measures) : make('p', { class: 'empty' }, make('strong', {}, 'Whose board?'), 'Type an airport, or choose one of a flight.'));
  }

  /** @param {string} code */
  openBoard(code) {
    this.view.board = code || null;
    this.openTab('airport');
    void this.airports?.learn(code ? [code] : []).then(() => {
      this.showPane();
      const place = this.airports?.find(code);
      if (place) this.camera.flyTo(toX(place.longitude), toY(place.latitude), Math.max(this.camera.zoom, 5.5));
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
    const wasCleared = !areSet(filters) && areSet(this.view.filters);
    this.view.filters = filters;
    this.isStale = true;
    this.keepAddress();
    if (wasCleared && this.tab === 'filters' && document.activeElement instanceof HTMLButtonElement) this.showPane(true);
    this.refresh();
  }

  // One flight.

  /** @param {Key | null} key @param {boolean} [isCentred] */
  choose(key, isCentred = false) {
    this.chosen = key;
    this.isStale = true;
    this.explained.clear();
    const flight = key === null ? undefined : this.world.flights.get(key);
    this.view.flight = flight ? String(flight.callsign ?? '') || null : null;
    this.keepAddress();
    this.past = { key, events: [], isLoading: key !== null, trail: [] };
    if (flight && key !== null) {
      void this.lookBack(key, flight);
      void this.lookBackOnTrail(key, flight);
      void this.airports?.learn([flight.dep, flight.arr]).then(() => this.chosen === key && this.showCard(true));
      if (isCentred) this.center(key);
    }
    this.showCard(true);
    if (this.tab !== 'filters') this.showPane();
  }

  /** @param {Key} key */
  center(key) {
    const track = this.motion.tracks.get(key);
    if (track) this.camera.flyTo(track.x, track.y, Math.max(this.camera.zoom, 5));
  }

  /** @param {Key} key @param {Record<string, any>} flight */
  async lookBack(key, flight) {
    const feed = this.feed;
    if (!feed) return;
    const events = await flightHistory((path, query) => feed.get(path, query), flight).catch(() => []);
    if (this.past.key !== key) return;
    Object.assign(this.past, { events, isLoading: false });
    this.showCard(true);
  }

  /** @param {Key} key @param {Record<string, any>} flight */
  async lookBackOnTrail(key, flight) {
    const { feed, past } = this;
    const found = feed ? await pastTrails((path, query) => feed.get(path, query), flight).catch(() => []) : [];
    const track = this.motion.tracks.get(key);
    if (track && this.past === past) past.trail = flat(found[0]?.points ?? [], track.trailFrom);
  }

  showCard(isNew = false) {
    const flight = this.chosen === null ? undefined : this.world.flights.get(this.chosen);
    if (!flight || this.chosen === null) {
      if (this.chosen === null && isNew) this.card.hidden = true;
      return;
    }
    if (!isNew && this.card.contains(document.activeElement)) return;
    const live = this.world.eventsOf(this.chosen);
    const ids = new Set(live.map((told) => told.id));
    const events = [...live, ...this.past.events.filter((told) => !ids.has(told.id))];
    const { key } = this.past;
    showFlight(
      this.card, flight,
      { events, isLoading: this.past.isLoading, hidden: hiddenBy(flight, this.view.filters) },
      (code) => this.airports?.find(code) ?? null,
      {
        close: () => this.choose(null),
        openBoard: (code) => this.openBoard(code),
        center: () => key !== null && this.center(key),
        explain: (id) => this.feed?.explain(id) ?? Promise.reject(new Error('there is no connection')),
      },
      this.explained,
    );
    this.card.hidden = false;
  }

  /** Find a flight, or an airport; say why it is not there. @param {string} words @param {boolean} isTyped */
  search(words, isTyped) {
    const wanted = readWords(words)[0];
    if (!wanted) return;
    const key = this.world.find(wanted);
    if (key === null) {
      const isAirport = /^[A-Z]{4}$/.test(wanted) && [...this.world.flights.values()].some(({ dep, arr }) => dep === wanted || arr === wanted);
      if (isAirport) this.openBoard(wanted);
      else void this.tellAbsent(wanted);
      return;
    }
    const flight = this.world.flights.get(key) ?? {};
    const hidden = hiddenBy(flight, this.view.filters).map((each) => each.text);
    if (typeof flight.latitude !== 'number') hidden.push('no source has told where it is yet');
    if (hidden.length && isTyped) {
      const remedy = areSet(this.view.filters) ? { text: 'Clear the filters', act: () => { this.filter(noFilters()); this.choose(key, true); } } : null;
      this.choose(null);
      sayWhyNot(this.card, `${wanted} is known, and not shown:`, hidden, remedy, () => this.choose(null));
      return;
    }
    this.choose(key, isTyped || !this.view.camera);
  }

  /** @param {string} callsign */
  async tellAbsent(callsign) {
    this.choose(null);
    const { feed, past } = this;
    const gone = this.world.deleted.get(callsign);
    let reason = 'No source reports it, and history has nothing of it.';
    if (gone) reason = `It went away at ${exactClock(gone.deleted_at)}: its source no longer reports it.`;
    else if (feed) reason = (await lastSeen((path, query) => feed.get(path, query), callsign).catch(() => null)) ?? reason;
    if (this.past !== past) return; // another flight was chosen meanwhile
    sayWhyNot(this.card, `There is no ${callsign} now.`, [reason], null, () => this.choose(null));
  }

  // What the service says of itself.

  /** @param {string} stage @param {string} text */
  showStage(stage, text) {
    byId('stage', HTMLElement).dataset.stage = stage;
    setText(byId('stage-text', HTMLElement), text);
    byId('stage', HTMLElement).title = text;
  }

  /** @param {Record<string, number | null>} sources */
  showSources(sources) {
    const late = Object.entries(sources).filter(([, age]) => typeof age === 'number' && age > 90);
    if (late.length) this.tell(late.map(([name, age]) => `The source ${name} has told nothing for ${duration(age)}.`).join(' '), 35_000);
  }

  /** @param {string} text @param {number} forMs */
  tell(text, forMs) {
    clearTimeout(this.noticeTimer);
    fill(this.notice, make('span', {}, text), make('button', { type: 'button', class: 'link', onclick: () => (this.notice.hidden = true) }, 'Close'));
    this.notice.hidden = false;
    this.noticeTimer = setTimeout(() => (this.notice.hidden = true), forMs);
  }

  // Hands.

  bindView() {
    const { camera } = this;
    const size = () => camera.resize(camera.surface.clientWidth, camera.surface.clientHeight, Math.min(window.devicePixelRatio || 1, 2));
    new ResizeObserver(size).observe(camera.surface);
    size();
    camera.set(this.view.camera ?? { latitude: 30, longitude: 0, zoom: 0 });
    camera.onMove = () => this.keepAddress();
    camera.onClick = (px, py) => {
      const key = this.traffic.at(px, py);
      if (key !== null || this.chosen !== null) this.choose(key);
    };
    camera.onHover = (px, py) => {
      this.hovered = this.traffic.at(px, py);
      camera.surface.classList.toggle('over', this.hovered !== null);
    };
    window.addEventListener('hashchange', () => this.followAddress());
    const restyle = () => {
      this.land.restyle();
      this.trails.restyle();
      this.traffic.restyle();
    };
    followTheme(byId('theme', HTMLButtonElement), restyle);
    restyle();
    fill(byId('legend', HTMLElement), make('b', {}, 'Feet'), ...BANDS.map((name, band) => {
      const mark = make('i', { 'aria-hidden': 'true' });
      mark.style.background = `var(--alt${band})`;
      return make('span', {}, mark, name);
    }));
  }

  bindButtons() {
    const on = (/** @type {string} */ id, /** @type {() => void} */ act) => byId(id, HTMLButtonElement).addEventListener('click', act);
    on('zoom-in', () => this.camera.zoomBy(0.7));
    on('zoom-out', () => this.camera.zoomBy(-0.7));
    on('whole', () => this.camera.flyTo(this.camera.x, toY(30), this.camera.minZoom));
    on('labels', () => this.toggle('labels'));
    on('trails', () => this.toggle('trails'));
    on('boundaries', () => this.toggle('boundaries'));
    on('sign-out', () => {
      sessionStorage.removeItem(KEPT_KEY);
      this.feed?.stop();
      this.showStage('stopped', 'Signed out');
      askForKey(null, (key) => this.connect(key));
    });
    on('toggle-panel', () => {
      const isFolded = document.querySelector('.page')?.classList.toggle('folded') ?? false;
      byId('toggle-panel', HTMLElement).setAttribute('aria-expanded', String(!isFolded));
    });
    for (const name of TABS) on(`tab-${name}`, () => this.openTab(name));
    document.querySelector('.tabs')?.addEventListener('keydown', (event) => this.moveTab(/** @type {KeyboardEvent} */ (event)));
    byId('search', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault();
      this.search(byId('search-text', HTMLInputElement).value, true);
    });
    document.addEventListener('keydown', (event) => this.key(event));
    this.showToggles();
  }

  /** @param {'labels' | 'trails' | 'boundaries'} name */
  toggle(name) {
    this.view[name] = !this.view[name];
    this.showToggles();
    this.keepAddress();
    void this.loadPastTrails();
  }

  showToggles() {
    byId('boundaries', HTMLElement).hidden = this.boundaries === null;
    this.land.show(this.view.boundaries ? this.boundaries : null);
    for (const name of /** @type {const} */ (['labels', 'trails', 'boundaries'])) byId(name, HTMLElement).setAttribute('aria-pressed', String(this.view[name]));
  }

  /** @param {KeyboardEvent} event */
  moveTab(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = TABS[(TABS.findIndex((name) => name === this.tab) + step + TABS.length) % TABS.length];
    this.openTab(next);
    byId(`tab-${next}`, HTMLElement).focus();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
    const isTyping = event.target instanceof HTMLInputElement;
    if (event.key === 'Escape' && (this.chosen !== null || !this.card.hidden)) this.choose(null);
    else if (isTyping) return;
    else if (event.key === '/') byId('search-text', HTMLElement).focus();
    else if (event.key === '0') byId('whole', HTMLElement).click();
    else if (event.key === 'l') this.toggle('labels');
    else if (event.key === 't') this.toggle('trails');
    else if (event.key === 'b') this.toggle('boundaries');
    else if (event.key === 'n') this.step(1);
    else if (event.key === 'p') this.step(-1);
    else return;
    event.preventDefault();
  }

  /** Go to the next flight that is in sight, by its callsign. @param {number} by */
  step(by) {
    const inSight = [...new Map(this.traffic.drawn.map((shown) => [shown.key, shown.flight]))];
    inSight.sort(([, one], [, other]) => String(one.callsign).localeCompare(String(other.callsign)));
    if (!inSight.length) return;
    const now = inSight.findIndex(([key]) => key === this.chosen);
    this.choose(inSight[(now + by + inSight.length) % inSight.length][0]);
  }

  // The address.

  keepAddress() {
    clearTimeout(this.addressTimer);
    this.addressTimer = setTimeout(() => {
      this.view.camera = this.camera.place();
      history.replaceState(null, '', `${window.location.pathname}${writeView(this.view)}`);
    }, ADDRESS_MS);
  }

  followAddress() {
    this.view = readView(window.location.hash);
    if (this.view.camera) this.camera.set(this.view.camera);
    this.openTab(TABS.find((tab) => tab === this.view.tab) ?? 'flights');
    this.showToggles();
    const key = this.view.flight ? this.world.find(this.view.flight) : null;
    this.choose(key);
    this.isStale = true;
    this.refresh();
  }
}

new LiveMap().begin();
