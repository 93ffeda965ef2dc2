/** The traffic: aircraft, their trails and labels, and the airports that measures hold for. Drawn every frame. */

import { level } from '../common/format.js';
import { colours } from '../common/theme.js';
import { isStale, placeAt } from './motion.js';
import { trace } from './trails.js';
import { Words } from './words.js';

const COLOURS = /** @type {const} */ ([
  'alt0', 'alt1', 'alt2', 'alt3', 'alt4', 'alt5', 'alt6', 'label', 'halo', 'chosen', 'stop', 'flow', 'trail',
]);
/** A silhouette with its nose up, in units of its half length. */
const SHAPE = [
  [0, -1], [0.14, -0.72], [0.16, -0.28], [0.92, 0.3], [0.92, 0.46], [0.16, 0.22], [0.12, 0.68], [0.38, 0.9], [0.38, 1],
  [0, 0.88], [-0.38, 1], [-0.38, 0.9], [-0.12, 0.68], [-0.16, 0.22], [-0.92, 0.46], [-0.92, 0.3], [-0.16, -0.28], [-0.14, -0.72],
];
const DART = [[0, -1], [0.7, 0.8], [0, 0.45], [-0.7, 0.8]];
const MAX_LABELS = 140;
const LABEL_EVERY_MS = 400;
const LABEL_MOVED_MS = 120;
const ROWS = 4_096;
const CELL = [74, 26];
const PICK_PIXELS = 16;

/**
 * @typedef {import('./camera.js').Camera} Camera
 * @typedef {import('./motion.js').Track} Track
 * @typedef {{ key: string | number, flight: Record<string, any>, track: Track, px: number, py: number }} Shown
 * @typedef {{ x: number, y: number, kind: 'stop' | 'flow', label: string }} Mark
 * @typedef {{ chosen: string | number | null, hovered: string | number | null, past: number[], labels: boolean }} Looks
   `past`: where the chosen one was before this page saw it
 */

export class Traffic {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this._canvas = canvas;
    this._context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
    /** @type {Shown[]} what was drawn last */
    this.drawn = [];
    /** @type {Shown[]} */
    this._labelled = [];
    this._labelledAt = 0;
    this._labelledVersion = -1;
    this._words = new Words();
    this._colours = colours(COLOURS);
    /** @type {string[]} */
    this._bands = [];
    /** @type {Shown[][]} by colour; those that nothing was heard of for a while behind the others */
    this._buckets = Array.from({ length: 14 }, () => []);
    this.restyle();
  }

  restyle() {
    this._colours = colours(COLOURS);
    this._bands = COLOURS.slice(0, 7).map((name) => this._colours[name]);
  }

  /**
   * Draw one frame.
   * @param {Camera} camera
   * @param {Iterable<[string | number, Record<string, any>]>} flights those that the filters let through
   * @param {Map<string | number, Track>} tracks
   * @param {Mark[]} marks
   * @param {Looks} looks
   * @param {number} now
   */
  draw(camera, flights, tracks, marks, looks, now) {
    const context = this._begin(camera);
    this._marks(context, camera, marks);
    this._place(camera, flights, tracks, now);
    const chosen = this.drawn.find((shown) => shown.key === looks.chosen);
    if (chosen) this._trail(context, camera, chosen, looks.past);
    this._aircraft(context, camera, now);
    if (chosen) this._ring(context, chosen);
    this._labels(context, camera, looks, now);
  }

  /** The aircraft that is nearest to a pixel. @param {number} px @param {number} py */
  at(px, py) {
    let best = null;
    let least = PICK_PIXELS;
    for (const shown of this.drawn) {
      const distance = Math.hypot(shown.px - px, shown.py - py);
      if (distance < least) [best, least] = [shown, distance];
    }
    return best?.key ?? null;
  }

  /** @param {Camera} camera */
  _begin(camera) {
    const { _canvas: canvas, _context: context } = this;
    this._words.ratio = camera.ratio;
    const [width, height] = [Math.round(camera.width * camera.ratio), Math.round(camera.height * camera.ratio)];
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    context.setTransform(camera.ratio, 0, 0, camera.ratio, 0, 0);
    context.clearRect(0, 0, camera.width, camera.height);
    return context;
  }

  /**
   * @param {Camera} camera @param {Iterable<[string | number, Record<string, any>]>} flights
   * @param {Map<string | number, Track>} tracks @param {number} now
   */
  _place(camera, flights, tracks, now) {
    const drawn = this.drawn;
    drawn.length = 0;
    const { width, height, scale } = camera;
    for (const [key, flight] of flights) {
      const track = tracks.get(key);
      if (!track) continue;
      const [x, y] = placeAt(track, now);
      const py = height / 2 + (y - camera.y) * scale;
      if (py < -20 || py > height + 20) continue;
      const difference = x - camera.x;
      const near = difference - Math.round(difference);
      for (let turn = -1; turn <= 1; turn += 1) {
        const px = width / 2 + (near + turn) * scale;
        if (px > -20 && px < width + 20) drawn.push({ key, flight, track, px, py });
      }
    }
  }

  /** @param {CanvasRenderingContext2D} context @param {Camera} camera @param {number} now */
  _aircraft(context, camera, now) {
    const isFar = camera.zoom < 4;
    const shape = isFar ? DART : SHAPE;
    const size = camera.big * (isFar ? 3.4 + Math.max(0, camera.zoom - 1) * 0.9 : Math.min(13, 5 + camera.zoom * 0.9));
    for (const bucket of this._buckets) bucket.length = 0;
    for (const shown of this.drawn) {
      this._buckets[shown.track.band + (isStale(shown.track, now) ? this._bands.length : 0)].push(shown);
    }
    this._buckets.forEach((bucket, index) => {
      if (!bucket.length) return;
      const band = index % this._bands.length;
      context.globalAlpha = index < this._bands.length ? 1 : 0.35;
      context.beginPath();
      for (const each of bucket) outline(context, each, shape, band === 0 ? size * 0.7 : size);
      context.fillStyle = this._bands[band];
      if (!isFar) {
        context.strokeStyle = this._colours.halo;
        context.lineWidth = 1.4;
        context.stroke();
      }
      context.fill();
    });
    context.globalAlpha = 1;
  }

  /** @param {CanvasRenderingContext2D} context @param {Camera} camera @param {Shown} shown @param {number[]} past */
  _trail(context, camera, shown, past) {
    context.beginPath();
    trace(context, camera, shown, past.length ? past : shown.track.past);
    context.strokeStyle = this._bands[shown.track.band];
    context.lineWidth = 2;
    context.lineJoin = 'round';
    context.stroke();
  }

  /** @param {CanvasRenderingContext2D} context @param {Shown} shown */
  _ring(context, shown) {
    context.beginPath();
    context.arc(shown.px, shown.py, 18, 0, 2 * Math.PI);
    context.strokeStyle = this._colours.chosen;
    context.lineWidth = 2;
    context.stroke();
  }

  /** @param {CanvasRenderingContext2D} context @param {Camera} camera @param {Mark[]} marks */
  _marks(context, camera, marks) {
    context.font = `600 ${11 * camera.big}px system-ui, sans-serif`;
    for (const mark of marks) {
      const [px, py] = camera.project(mark.x, mark.y);
      if (px < -60 || px > camera.width + 60 || py < -60 || py > camera.height + 60) continue;
      const colour = this._colours[mark.kind];
      context.beginPath();
      context.arc(px, py, mark.kind === 'stop' ? 13 : 10, 0, 2 * Math.PI);
      context.globalAlpha = 0.18;
      context.fillStyle = colour;
      context.fill();
      context.globalAlpha = 1;
      context.strokeStyle = colour;
      context.lineWidth = 2;
      context.stroke();
      this._text(context, mark.label, px, py + 26, 'center', colour);
    }
  }

  /** @param {CanvasRenderingContext2D} context @param {Camera} camera @param {Looks} looks @param {number} now */
  _labels(context, camera, looks, now) {
    const isDue = now - this._labelledAt > (camera.version === this._labelledVersion ? LABEL_EVERY_MS : LABEL_MOVED_MS);
    if (isDue) {
      this._labelled = this._chooseLabels(camera, looks);
      [this._labelledAt, this._labelledVersion] = [now, camera.version];
    }
    context.font = `500 ${11 * camera.big}px system-ui, sans-serif`;
    const byKey = new Map(this.drawn.map((shown) => [shown.key, shown]));
    for (const { key } of this._labelled) {
      const shown = byKey.get(key);
      if (!shown) continue;
      const { flight, track, px, py } = shown;
      const isNamed = key === looks.chosen || key === looks.hovered;
      this._text(context, String(flight.callsign ?? key), px + 12, py - 2, 'left', this._colours[isNamed ? 'chosen' : 'label']);
      if (camera.zoom >= 6 || isNamed) {
        this._text(context, `${level(flight.altitude_ft)}  ${Math.round(track.knots)}`, px + 12, py + 11 * camera.big, 'left', this._colours.trail);
      }
    }
  }

  /** Labels that cover no other, those of the chosen ones first. @param {Camera} camera @param {Looks} looks */
  _chooseLabels(camera, looks) {
    /** @type {Set<number>} */
    const taken = new Set();
    const first = this.drawn.filter(({ key }) => key === looks.chosen || key === looks.hovered);
    const isCrowded = camera.zoom < 4.2 && this.drawn.length > 60;
    const others = looks.labels && !isCrowded ? this.drawn : [];
    const chosen = [];
    for (const shown of [...first, ...others]) {
      if (chosen.length >= MAX_LABELS) break;
      const [column, row] = [Math.floor(shown.px / CELL[0] / camera.big), Math.floor(shown.py / CELL[1] / camera.big)];
      const cell = column * ROWS + row;
      const cells = [cell, cell + ROWS, cell + 1];
      if (cells.some((each) => taken.has(each)) && !first.includes(shown)) continue;
      cells.forEach((each) => taken.add(each));
      chosen.push(shown);
    }
    return chosen;
  }

  /**
   * @param {CanvasRenderingContext2D} context @param {string} text @param {number} px @param {number} py
   * @param {CanvasTextAlign} align @param {string} colour
   */
  _text(context, text, px, py, align, colour) {
    this._words.write(context, text, px, py, align, colour, this._colours.halo);
  }
}

/**
 * Add the outline of an aircraft to the path.
 * @param {CanvasRenderingContext2D} context @param {Shown} shown @param {number[][]} shape @param {number} half
 */
function outline(context, { track, px, py }, shape, half) {
  const [cos, sin] = [track.cos * half, track.sin * half];
  for (let corner = 0; corner < shape.length; corner += 1) {
    const [a, b] = shape[corner];
    if (corner === 0) context.moveTo(px + a * cos - b * sin, py + a * sin + b * cos);
    else context.lineTo(px + a * cos - b * sin, py + a * sin + b * cos);
  }
  context.closePath();
}
