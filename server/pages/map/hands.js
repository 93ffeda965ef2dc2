/** What a person does with pointer, buttons and keys. */

import { byId, fill, make } from '../common/dom.js';
import { followTheme } from '../common/theme.js';
import { askForKey } from './forms.js';
import { toY } from './mercator.js';
import { BANDS } from './motion.js';
import { TABS } from './panel.js';

export const KEPT_KEY = 'swim-key';

export class Hands {
  /** @param {import('./live_map.js').LiveMap} map */
  constructor(map) {
    this._map = map;
  }

  bind() {
    this._bindView();
    this._bindButtons();
  }

  _bindView() {
    const { camera } = this._map;
    const size = () => camera.resize(camera.surface.clientWidth, camera.surface.clientHeight, Math.min(window.devicePixelRatio || 1, 2));
    new ResizeObserver(size).observe(camera.surface);
    size();
    camera.set(this._map.view.camera ?? { latitude: 30, longitude: 0, zoom: 0 });
    camera.onMove = () => this._map.keepAddress();
    camera.onClick = (px, py) => {
      const key = this._map.traffic.at(px, py);
      if (key !== null || this._map.chosen.key !== null) this._map.chosen.choose(key);
    };
    camera.onHover = (px, py) => {
      const before = this._map.hovered;
      this._map.hovered = this._map.traffic.at(px, py);
      if (this._map.hovered !== before) this._map.isRestless = true;
      camera.surface.classList.toggle('over', this._map.hovered !== null);
    };
    window.addEventListener('hashchange', () => this._map.followAddress());
    const restyle = () => {
      this._map.land.restyle();
      this._map.trails.restyle();
      this._map.traffic.restyle();
      this._map.isRestless = true;
    };
    followTheme(byId('theme', HTMLButtonElement), restyle);
    restyle();
    fill(byId('legend', HTMLElement), make('b', {}, 'Feet'), ...BANDS.map((name, band) => {
      const mark = make('i', { 'aria-hidden': 'true' });
      mark.style.background = `var(--alt${band})`;
      return make('span', {}, mark, name);
    }));
  }

  _bindButtons() {
    const on = (/** @type {string} */ id, /** @type {() => void} */ act) => byId(id, HTMLButtonElement).addEventListener('click', act);
    on('zoom-in', () => this._map.camera.zoomBy(0.7));
    on('zoom-out', () => this._map.camera.zoomBy(-0.7));
    on('whole', () => this._map.camera.flyTo(this._map.camera.x, toY(30), this._map.camera.minZoom));
    on('labels', () => this._toggle('labels'));
    on('trails', () => this._toggle('trails'));
    on('boundaries', () => this._toggle('boundaries'));
    on('sign-out', () => {
      sessionStorage.removeItem(KEPT_KEY);
      this._map.feed?.stop();
      this._map.showStage('stopped', 'Signed out');
      askForKey(null, (key) => this._map.connect(key));
    });
    on('toggle-panel', () => {
      const isFolded = document.querySelector('.page')?.classList.toggle('folded') ?? false;
      byId('toggle-panel', HTMLElement).setAttribute('aria-expanded', String(!isFolded));
    });
    for (const name of TABS) on(`tab-${name}`, () => this._map.panel.open(name));
    document.querySelector('.tabs')?.addEventListener('keydown', (event) => this._map.panel.moveTab(/** @type {KeyboardEvent} */ (event)));
    byId('search', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault();
      this._map.chosen.search(byId('search-text', HTMLInputElement).value, true);
    });
    document.addEventListener('keydown', (event) => this._key(event));
    this.showToggles();
  }

  /** @param {'labels' | 'trails' | 'boundaries'} name */
  _toggle(name) {
    this._map.view[name] = !this._map.view[name];
    this._map.isRestless = true;
    this.showToggles();
    this._map.keepAddress();
    void this._map.loadPastTrails();
  }

  showToggles() {
    byId('boundaries', HTMLElement).hidden = this._map.boundaries === null;
    this._map.land.show(this._map.view.boundaries ? this._map.boundaries : null);
    for (const name of /** @type {const} */ (['labels', 'trails', 'boundaries'])) byId(name, HTMLElement).setAttribute('aria-pressed', String(this._map.view[name]));
  }

  /** @param {KeyboardEvent} event */
  _key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
    const isTyping = event.target instanceof HTMLInputElement;
    if (event.key === 'Escape' && (this._map.chosen.isOpen)) this._map.chosen.choose(null);
    else if (isTyping) return;
    else if (event.key === '/') byId('search-text', HTMLElement).focus();
    else if (event.key === '0') byId('whole', HTMLElement).click();
    else if (event.key === 'l') this._toggle('labels');
    else if (event.key === 't') this._toggle('trails');
    else if (event.key === 'b') this._toggle('boundaries');
    else if (event.key === 'n') this._step(1);
    else if (event.key === 'p') this._step(-1);
    else return;
    event.preventDefault();
  }

  /** Go to the next flight that is in sight, by its callsign. @param {number} by */
  _step(by) {
    const inSight = [...new Map(this._map.traffic.drawn.map((shown) => [shown.key, shown.flight]))];
    inSight.sort(([, one], [, other]) => String(one.callsign).localeCompare(String(other.callsign)));
    if (!inSight.length) return;
    const now = inSight.findIndex(([key]) => key === this._map.chosen.key);
    this._map.chosen.choose(inSight[(now + by + inSight.length) % inSight.length][0]);
  }
}
