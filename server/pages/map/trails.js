/** The trails of all aircraft: a picture of its own, drawn anew once a second and when the view has come to rest. */

import { colours } from '../common/theme.js';

const COLOURS = /** @type {const} */ (['alt0', 'alt1', 'alt2', 'alt3', 'alt4', 'alt5', 'alt6']);
const EVERY_MS = 1_000;
/** Points that are nearer to the one before are left out, in pixels. */
const STEP_PIXELS = 2;

/**
 * @typedef {import('./camera.js').Camera} Camera
 * @typedef {import('./traffic.js').Shown} Shown
 */

export class Trails {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this._canvas = canvas;
    this._context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
    this._drawn = { x: 0, y: 0, scale: 1, version: -1, at: Number.NEGATIVE_INFINITY };
    this._colours = colours(COLOURS);
    this._isEmpty = true;
    this._isOld = true;
  }

  restyle() {
    this._colours = colours(COLOURS);
    this._isOld = true;
  }

  /** Draw the trails of what is in sight; none: take them away. @param {Camera} camera @param {Shown[] | null} shown @param {number} now */
  draw(camera, shown, now) {
    const drawn = this._drawn;
    if (!shown) {
      if (!this._isEmpty) this._clear(camera);
      return;
    }
    const hasMoved = camera.version !== drawn.version;
    if (this._isEmpty || this._isOld || (hasMoved ? camera.isDue(drawn, now) : now - drawn.at >= EVERY_MS)) {
      this._render(camera, shown);
      Object.assign(drawn, { x: camera.x, y: camera.y, scale: camera.scale, version: camera.version, at: now });
      [this._isOld, this._canvas.style.transform] = [false, ''];
    } else if (hasMoved) {
      this._canvas.style.transform = camera.since(drawn);
    }
  }

  /** @param {Camera} camera */
  _clear(camera) {
    const { _canvas: canvas, _context: context } = this;
    const [width, height] = [Math.round(camera.width * camera.ratio), Math.round(camera.height * camera.ratio)];
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    context.setTransform(camera.ratio, 0, 0, camera.ratio, 0, 0);
    context.clearRect(0, 0, camera.width, camera.height);
    this._isEmpty = true;
  }

  /** @param {Camera} camera @param {Shown[]} shown */
  _render(camera, shown) {
    this._clear(camera);
    this._isEmpty = false;
    const context = this._context;
    context.globalAlpha = 0.5;
    context.lineWidth = 1.2;
    context.lineJoin = 'round';
    COLOURS.forEach((name, band) => {
      context.beginPath();
      for (const each of shown) if (each.track.band === band) trace(context, camera, each, each.track.past);
      context.strokeStyle = this._colours[name];
      context.stroke();
    });
    context.globalAlpha = 1;
  }
}

/**
 * Add a trail to the path, from the aircraft back to where it was first seen.
 * @param {CanvasRenderingContext2D} context @param {Camera} camera @param {Shown} shown @param {number[]} past
 */
export function trace(context, camera, shown, past) {
  const { scale } = camera;
  const middle = camera.height / 2 - camera.y * scale;
  let [px, py] = [shown.px, shown.py];
  let x = camera.x + (px - camera.width / 2) / scale;
  context.moveTo(px, py);
  for (const points of [shown.track.trail, past]) {
    for (let index = points.length - 2; index >= 0; index -= 2) {
      const difference = points[index] - x;
      const next = x + difference - Math.round(difference);
      const nextPx = camera.width / 2 + (next - camera.x) * scale;
      const nextPy = middle + points[index + 1] * scale;
      if (Math.abs(nextPx - px) + Math.abs(nextPy - py) < STEP_PIXELS) continue;
      context.lineTo(nextPx, nextPy);
      [x, px, py] = [next, nextPx, nextPy];
    }
  }
}
