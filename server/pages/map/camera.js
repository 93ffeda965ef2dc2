/** What part of the plane is looked at, and how pointers, wheels and keys move it. */

import { toLatitude, toLongitude, toX, toY } from './mercator.js';

const TILE_PIXELS = 256;
const MAX_ZOOM = 12;
const CLICK_PIXELS = 6;
const FLY_MS = 450;
const KEY_PIXELS = 90;
const REST_MS = 90;
/** A moved picture is drawn anew, every so often, once this part of it is out of sight, or it is so much too small. */
const FAR_PART = 0.25;
const FAR_ZOOM = 1.6;
const ANEW_MS = 250;

export class Camera {
  /** @param {HTMLElement} surface */
  constructor(surface) {
    this.surface = surface;
    this.x = 0.5;
    this.y = 0.4;
    this.zoom = 1;
    this.width = 1;
    this.height = 1;
    this.ratio = 1;
    /** Counts up with every change. */
    this.version = 0;
    this._changedAt = 0;
    /** Called after a change that a person made. */
    this.onMove = () => {};
    /** @type {(x: number, y: number) => void} */
    this.onClick = () => {};
    /** @type {(x: number, y: number) => void} */
    this.onHover = () => {};
    this.isCalm = matchMedia('(prefers-reduced-motion: reduce)');
    /** @type {{ from: [number, number, number], to: [number, number, number], began: number } | null} */
    this._flight = null;
    this._listen();
  }

  /** Pixels of the whole world. */
  get scale() {
    return TILE_PIXELS * 2 ** this.zoom;
  }

  /** No less than the world's height on the screen. */
  get minZoom() {
    return Math.log2(Math.max(this.width, this.height * 0.9) / TILE_PIXELS / 1.15);
  }

  /** How much larger than on a desk aircraft and words are drawn: a wall is looked at from afar. */
  get big() {
    return Math.max(1, Math.min(1.7, this.width / 1_900));
  }

  /** @param {number} width @param {number} height @param {number} ratio */
  resize(width, height, ratio) {
    Object.assign(this, { width, height, ratio });
    this._limit();
  }

  /** @returns {{ latitude: number, longitude: number, zoom: number }} */
  place() {
    return { latitude: toLatitude(this.y), longitude: toLongitude(this.x), zoom: this.zoom };
  }

  /** @param {{ latitude: number, longitude: number, zoom: number }} place */
  set(place) {
    this._flight = null;
    [this.x, this.y, this.zoom] = [toX(place.longitude), toY(place.latitude), place.zoom];
    this._limit();
  }

  /** Go there smoothly, or at once where that is asked for. @param {number} x @param {number} y @param {number} zoom */
  flyTo(x, y, zoom) {
    const near = this.x + (x - this.x - Math.round(x - this.x));
    if (this.isCalm.matches) {
      [this.x, this.y, this.zoom] = [near, y, zoom];
      this._limit();
    } else {
      this._flight = { from: [this.x, this.y, this.zoom], to: [near, y, zoom], began: performance.now() };
    }
    this.onMove();
  }

  /** Go on with a flight. Returns whether it moves. @param {number} now */
  advance(now) {
    if (!this._flight) return false;
    const { from, to, began } = this._flight;
    const part = Math.min(1, (now - began) / FLY_MS);
    const eased = 1 - (1 - part) ** 3;
    [this.x, this.y, this.zoom] = [0, 1, 2].map((index) => from[index] + (to[index] - from[index]) * eased);
    if (part === 1) {
      this._flight = null;
      this.onMove();
    }
    this._limit();
    return true;
  }

  /** @param {number} pixelsX @param {number} pixelsY */
  pan(pixelsX, pixelsY) {
    this._flight = null;
    this.x -= pixelsX / this.scale;
    this.y -= pixelsY / this.scale;
    this._limit();
    this.onMove();
  }

  /** Zoom so that the place under a pixel stays there. @param {number} steps @param {number} [px] @param {number} [py] */
  zoomBy(steps, px = this.width / 2, py = this.height / 2) {
    this._flight = null;
    const [dx, dy] = [px - this.width / 2, py - this.height / 2];
    const before = this.scale;
    this.zoom = Math.max(this.minZoom, Math.min(MAX_ZOOM, this.zoom + steps));
    this.x += dx / before - dx / this.scale;
    this.y += dy / before - dy / this.scale;
    this._limit();
    this.onMove();
  }

  /** Where a place of the plane is on the surface, the nearest of the worlds side by side. @param {number} x @param {number} y */
  project(x, y) {
    const difference = x - this.x;
    return [this.width / 2 + (difference - Math.round(difference)) * this.scale, this.height / 2 + (y - this.y) * this.scale];
  }

  /** Whether what is drawn at rest has been drawn since the last change. @param {number} now */
  isSettled(now) {
    return now - this._changedAt > 2 * REST_MS;
  }

  /**
   * Whether a picture that was drawn before must be drawn anew: the view is at rest, or has gone so far that it shows.
   * @param {{ x: number, y: number, scale: number, at: number }} drawn @param {number} now
   */
  isDue(drawn, now) {
    if (now - this._changedAt > REST_MS) return true;
    const factor = this.scale / drawn.scale;
    const difference = drawn.x - this.x;
    const across = Math.abs(difference - Math.round(difference)) * this.scale > this.width * FAR_PART;
    const isFar = across || Math.abs(drawn.y - this.y) * this.scale > this.height * FAR_PART || factor > FAR_ZOOM || factor < 1 / FAR_ZOOM;
    return isFar && now - drawn.at > ANEW_MS;
  }

  /** How a picture that was drawn before must be moved to fit now. @param {{ x: number, y: number, scale: number }} drawn */
  since(drawn) {
    const difference = drawn.x - this.x;
    const left = (difference - Math.round(difference)) * this.scale;
    return `translate(${left}px, ${(drawn.y - this.y) * this.scale}px) scale(${this.scale / drawn.scale})`;
  }

  _limit() {
    this.zoom = Math.max(this.minZoom, Math.min(MAX_ZOOM, this.zoom));
    this.x -= Math.floor(this.x);
    const half = this.height / 2 / this.scale;
    this.y = half >= 0.5 ? 0.5 : Math.max(half, Math.min(1 - half, this.y));
    this.version += 1;
    this._changedAt = performance.now();
  }

  _listen() {
    const { surface } = this;
    /** @type {Map<number, PointerEvent>} */
    const pointers = new Map();
    let travelled = 0;
    surface.addEventListener('pointerdown', (event) => {
      surface.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, event);
      if (pointers.size === 1) travelled = 0;
    });
    surface.addEventListener('pointermove', (event) => {
      const before = pointers.get(event.pointerId);
      if (!before) {
        this.onHover(event.offsetX, event.offsetY);
        return;
      }
      travelled += Math.abs(event.offsetX - before.offsetX) + Math.abs(event.offsetY - before.offsetY);
      this._drag(pointers, before, event);
      pointers.set(event.pointerId, event);
    });
    surface.addEventListener('pointerup', (event) => {
      if (pointers.size === 1 && travelled < CLICK_PIXELS) this.onClick(event.offsetX, event.offsetY);
      pointers.delete(event.pointerId);
    });
    surface.addEventListener('pointercancel', (event) => pointers.delete(event.pointerId));
    surface.addEventListener('dblclick', (event) => this.zoomBy(1, event.offsetX, event.offsetY));
    surface.addEventListener(
      'wheel',
      (event) => {
        event.preventDefault();
        const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 20 : 1;
        this.zoomBy(Math.max(-1, Math.min(1, (-event.deltaY * lines) / 300)), event.offsetX, event.offsetY);
      },
      { passive: false },
    );
    surface.addEventListener('keydown', (event) => {
      if (this._key(event.key)) event.preventDefault();
    });
  }

  /** @param {Map<number, PointerEvent>} pointers @param {PointerEvent} before @param {PointerEvent} event */
  _drag(pointers, before, event) {
    if (pointers.size === 1) {
      this.pan(event.offsetX - before.offsetX, event.offsetY - before.offsetY);
      return;
    }
    const other = [...pointers.values()].find((each) => each.pointerId !== event.pointerId);
    if (!other) return;
    const apart = (/** @type {PointerEvent} */ each) => Math.hypot(each.offsetX - other.offsetX, each.offsetY - other.offsetY);
    this.zoomBy(Math.log2(Math.max(1, apart(event)) / Math.max(1, apart(before))), other.offsetX, other.offsetY);
  }

  /** @param {string} key */
  _key(key) {
    if (key === 'ArrowLeft') this.pan(KEY_PIXELS, 0);
    else if (key === 'ArrowRight') this.pan(-KEY_PIXELS, 0);
    else if (key === 'ArrowUp') this.pan(0, KEY_PIXELS);
    else if (key === 'ArrowDown') this.pan(0, -KEY_PIXELS);
    else if (key === '+' || key === '=') this.zoomBy(0.5);
    else if (key === '-') this.zoomBy(-0.5);
    else return false;
    return true;
  }
}
