/** The map below the traffic: land, borders, boundaries, the grid, drawn anew only when the view has come to rest. */

import { geoGraticule10, geoMercator, geoPath } from 'd3-geo';
import { feature, mesh } from 'topojson-client';
import { colours } from '../common/theme.js';
import { UNITS } from './mercator.js';

const COLOURS = /** @type {const} */ (['land', 'coast', 'border', 'grid', 'fir', 'halo']);
const SECTOR_ZOOM = 4.5;
const NAME_ZOOM = 3.2;
const NAME_CELL = [64, 30];

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
    this._drawn = { x: 0, y: 0, scale: 1, version: -1, at: 0 };
    this._colours = colours(COLOURS);
    this._isOld = true;
    /** @type {import('./boundaries.js').Boundaries | null} */
    this._boundaries = null;
  }

  /** Draw these boundaries too; null: none. @param {import('./boundaries.js').Boundaries | null} boundaries */
  show(boundaries) {
    if (this._boundaries !== boundaries) this._isOld = true;
    this._boundaries = boundaries;
  }

  restyle() {
    this._colours = colours(COLOURS);
    this._isOld = true;
  }

  /** @param {Camera} camera @param {number} now */
  draw(camera, now) {
    const drawn = this._drawn;
    if (camera.version === drawn.version && !this._isOld) return;
    if (this._isOld || camera.isDue(drawn, now)) {
      this._render(camera);
      Object.assign(drawn, { x: camera.x, y: camera.y, scale: camera.scale, version: camera.version, at: now });
      this._isOld = false;
      this._canvas.style.transform = '';
      return;
    }
    this._canvas.style.transform = camera.since(drawn);
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
    if (this._boundaries) {
      // Areas at the edge of the plane go on beyond it: those of the worlds beside are in sight.
      for (let turn = Math.floor(camera.x - half) - 1; turn <= Math.floor(camera.x + half) + 1; turn += 1) {
        this._lines(camera, turn, this._boundaries);
      }
      this._names(camera, this._boundaries);
    }
  }

  /** @param {Camera} camera @param {number} turn @param {import('./boundaries.js').Boundaries} boundaries */
  _lines(camera, turn, boundaries) {
    const { _context: context } = this;
    const pixel = this._enter(camera, turn);
    context.strokeStyle = this._colours.fir;
    if (camera.zoom >= SECTOR_ZOOM) {
      context.globalAlpha = 0.45;
      context.lineWidth = 0.7 * pixel;
      context.stroke(boundaries.sectors);
    }
    context.globalAlpha = 0.7;
    context.lineWidth = (camera.zoom >= NAME_ZOOM ? 1.1 : 0.6) * pixel;
    context.stroke(boundaries.firs);
    context.globalAlpha = 1;
  }

  /** The names of the FIRs, none over another. @param {Camera} camera @param {import('./boundaries.js').Boundaries} boundaries */
  _names(camera, boundaries) {
    if (camera.zoom < NAME_ZOOM) return;
    const { _context: context } = this;
    context.setTransform(camera.ratio, 0, 0, camera.ratio, 0, 0);
    context.font = `600 ${11 * camera.big}px system-ui, sans-serif`;
    context.textAlign = 'center';
    context.lineJoin = 'round';
    context.lineWidth = 3;
    context.strokeStyle = this._colours.halo;
    context.fillStyle = this._colours.fir;
    /** @type {Set<string>} */
    const taken = new Set();
    for (const { name, x, y } of boundaries.names) {
      const [px, py] = camera.project(x, y);
      if (px < -40 || py < -20 || px > camera.width + 40 || py > camera.height + 20) continue;
      const [column, row] = [Math.floor(px / NAME_CELL[0] / camera.big), Math.floor(py / NAME_CELL[1] / camera.big)];
      const cells = [`${column},${row}`, `${column + 1},${row}`, `${column - 1},${row}`, `${column},${row + 1}`, `${column},${row - 1}`];
      if (cells.some((cell) => taken.has(cell))) continue;
      taken.add(cells[0]);
      context.strokeText(name, px, py);
      context.fillText(name, px, py);
    }
  }

  /** Draw in the plane's units from here on; returns how many of them a pixel is. @param {Camera} camera @param {number} turn */
  _enter(camera, turn) {
    const scale = (camera.scale / UNITS) * camera.ratio;
    const left = (camera.width / 2 + (turn - camera.x) * camera.scale) * camera.ratio;
    const top = (camera.height / 2 - camera.y * camera.scale) * camera.ratio;
    this._context.setTransform(scale, 0, 0, scale, left, top);
    return camera.ratio / scale;
  }

  /** One of the worlds side by side. @param {Camera} camera @param {number} turn */
  _world(camera, turn) {
    const { _context: context } = this;
    const found = this._colours;
    const pixel = this._enter(camera, turn);
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
