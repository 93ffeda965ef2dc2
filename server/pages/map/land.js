/** The map below the traffic: land, borders and the grid, drawn anew only when the view has come to rest. */

import { geoGraticule10, geoMercator, geoPath } from 'd3-geo';
import { feature, mesh } from 'topojson-client';
import { colours } from '../common/theme.js';

const UNITS = 4_096;
const REST_MS = 90;
const COLOURS = /** @type {const} */ (['land', 'coast', 'border', 'grid']);

/** @typedef {import('./camera.js').Camera} Camera */

export class Land {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {import('topojson-specification').Topology} world
   */
  constructor(canvas, world) {
    this._canvas = canvas;
    this._context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d', { alpha: true }));
    const projection = geoMercator().scale(UNITS / (2 * Math.PI)).translate([UNITS / 2, UNITS / 2]).precision(0);
    const path = (/** @type {any} */ shape) => {
      const drawn = new Path2D();
      geoPath(projection, /** @type {any} */ (drawn))(shape);
      return drawn;
    };
    this._land = path(feature(world, world.objects.land));
    this._borders = path(mesh(world, /** @type {any} */ (world.objects.countries), (one, other) => one !== other));
    this._grid = path(geoGraticule10());
    this._drawn = { x: 0, y: 0, scale: 1, version: -1, movedAt: 0 };
    this._colours = colours(COLOURS);
    this._isOld = true;
  }

  restyle() {
    this._colours = colours(COLOURS);
    this._isOld = true;
  }

  /** @param {Camera} camera @param {number} now */
  draw(camera, now) {
    const drawn = this._drawn;
    if (camera.version === drawn.version && !this._isOld) return;
    if (this._isOld || now - drawn.movedAt > REST_MS) {
      this._render(camera);
      Object.assign(drawn, { x: camera.x, y: camera.y, scale: camera.scale, version: camera.version, movedAt: now });
      this._isOld = false;
      this._canvas.style.transform = '';
      return;
    }
    const factor = camera.scale / drawn.scale;
    const difference = drawn.x - camera.x;
    const left = (difference - Math.round(difference)) * camera.scale;
    const top = (drawn.y - camera.y) * camera.scale;
    this._canvas.style.transform = `translate(${left}px, ${top}px) scale(${factor})`;
  }

  /** @param {Camera} camera */
  _render(camera) {
    const { _context: context, _canvas: canvas } = this;
    const { width, height, ratio } = camera;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    const half = width / 2 / camera.scale;
    for (let turn = Math.floor(camera.x - half); turn <= Math.floor(camera.x + half); turn += 1) {
      this._world(camera, turn);
    }
  }

  /** One of the worlds side by side. @param {Camera} camera @param {number} turn */
  _world(camera, turn) {
    const { _context: context } = this;
    const found = this._colours;
    const scale = (camera.scale / UNITS) * camera.ratio;
    const left = (camera.width / 2 + (turn - camera.x) * camera.scale) * camera.ratio;
    const top = (camera.height / 2 - camera.y * camera.scale) * camera.ratio;
    context.setTransform(scale, 0, 0, scale, left, top);
    const pixel = camera.ratio / scale;
    context.strokeStyle = found.grid;
    context.lineWidth = 0.6 * pixel;
    context.stroke(this._grid);
    context.fillStyle = found.land;
    context.fill(this._land);
    context.strokeStyle = found.coast;
    context.lineWidth = 0.8 * pixel;
    context.stroke(this._land);
    context.strokeStyle = found.border;
    context.lineWidth = 0.7 * pixel;
    context.stroke(this._borders);
  }
}
