/** The live map: puts the parts together. What the service tells goes in, what is drawn comes out. */

import { findService, socketPath } from '../common/address.js';
import { byId, fill, make, setText } from '../common/dom.js';
import { duration, exactClock, grouped } from '../common/format.js';
import { Airports } from './airports.js';
import { readBoundaries } from './boundaries.js';
import { Camera } from './camera.js';
import { ChosenFlight } from './chosen_flight.js';
import { Feed } from './feed.js';
import { areSet, passes } from './filters.js';
import { askForKey } from './forms.js';
import { Hands, KEPT_KEY } from './hands.js';
import { pastTrails } from './past.js';
import { Land } from './land.js';
import { airportsOf, isStop } from './lists.js';
import { toX, toY } from './mercator.js';
import { Motion } from './motion.js';
import { Panel } from './panel.js';
import { readView, writeView } from './shared_view.js';
import { Traffic } from './traffic.js';
import { Trails } from './trails.js';
import { World } from './world.js';

const SLOW_MS = 1_000;
const CALM_FRAME_MS = 1_000;
/** News are drawn together, not each for itself. */
const NEWS_MS = 100;
const ADDRESS_MS = 400;

/** @typedef {string | number} Key */

export class LiveMap {
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
    this.hovered = null;
    /** @type {import('./boundaries.js').Boundaries | null} */
    this.boundaries = null;
    this.hasAskedBoundaries = false;
    this.hasPastTrails = false;
    /** @type {[Key, Record<string, any>][]} */
    this.shown = [];
    this.isStale = true;
    /** What a person did is to be seen at once. */
    this.isRestless = true;
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
    this.panel = new Panel(this);
    this.chosen = new ChosenFlight(this);
    this.hands = new Hands(this);
    this.notice = byId('notice', HTMLElement);
  }

  begin() {
    this.hands.bind();
    this.panel.openAsTold(this.view.tab);
    requestAnimationFrame((now) => this.frame(now));
    setInterval(() => this.refresh(), SLOW_MS);
    const key = sessionStorage.getItem(KEPT_KEY);
    if (key) this.connect(key);
    else askForKey(null, (typed) => this.connect(typed));
  }

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
    if (this.view.flight && this.chosen.key === null) this.chosen.search(this.view.flight, false);
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
    this.hands.showToggles();
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
    if (key !== this.chosen.key) return;
    this.chosen.choose(null);
    this.tell('The flight that was chosen has gone.', 6_000);
  }

  /** @param {number} now */
  frame(now) {
    requestAnimationFrame((next) => this.frame(next));
    if (document.hidden) return;
    const isMoving = this.camera.advance(now);
    this.land.draw(this.camera, now);
    const isSeen = this.camera.version !== this.drawnVersion || isMoving || this.isRestless || !this.camera.isSettled(now);
    const restMs = this.camera.isCalm.matches ? CALM_FRAME_MS : this.isStale ? NEWS_MS : this.motion.restMs(this.camera.scale, performance.now());
    if (!isSeen && now - this.drawnAt < restMs) return;
    [this.drawnAt, this.drawnVersion, this.isRestless] = [now, this.camera.version, false];
    if (this.isStale) this.sift();
    this.draw(now);
  }

  /** @param {number} now */
  draw(now) {
    const began = performance.now();
    this.traffic.draw(
      this.camera, this.shown, this.motion.tracks, this.marks,
      { chosen: this.chosen.key, hovered: this.hovered, past: this.chosen.past.trail, labels: this.view.labels }, began,
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
    const chosen = this.chosen.key === null ? undefined : this.world.flights.get(this.chosen.key);
    if (this.chosen.key !== null && chosen && !passes(chosen, filters)) this.shown.push([this.chosen.key, chosen]);
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
    this.panel.badge('measures', this.world.measures.size);
    this.panel.badge('filters', Object.values(this.view.filters).filter((values) => values.length).length);
    if (!this.panel.pane.contains(document.activeElement) || this.panel.tab === 'flights') this.panel.show();
    this.chosen.show();
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
    this.panel.openAsTold(this.view.tab);
    this.hands.showToggles();
    const key = this.view.flight ? this.world.find(this.view.flight) : null;
    this.chosen.choose(key);
    this.isStale = true;
    this.refresh();
  }
}
