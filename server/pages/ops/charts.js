/** The lines of the last hour. Bounded: the service keeps an hour, and the page what the service keeps. */

import uPlot from 'uplot';
import { colours } from '../common/theme.js';

const COLOURS = /** @type {const} */ (['series1', 'series2', 'series3', 'axis', 'gridline']);
const HEIGHT = 150;
/** Seconds between two times on the axis, which are written to the minute. */
const STEPS = [60, 120, 300, 600, 900, 1_800, 3_600];

/** @typedef {{ label: string, value: (sample: any[]) => number | null }} Line */

export class Chart {
  /** @param {HTMLElement} box @param {Line[]} lines */
  constructor(box, lines) {
    this._box = box;
    this._lines = lines;
    /** @type {uPlot.AlignedData} */
    this._data = [[], ...lines.map(() => [])];
    /** @type {uPlot | null} */
    this._plot = null;
    new ResizeObserver(() => this._plot?.setSize({ width: Math.max(100, box.clientWidth), height: HEIGHT })).observe(box);
    this.restyle();
  }

  /** @param {any[][]} samples */
  show(samples) {
    this._data = /** @type {uPlot.AlignedData} */ ([
      samples.map((sample) => sample[0]),
      ...this._lines.map(({ value }) => samples.map(value)),
    ]);
    this._plot?.setData(this._data);
  }

  restyle() {
    const found = colours(COLOURS);
    const strokes = [found.series1, found.series2, found.series3];
    const axis = { stroke: found.axis, font: '11px system-ui, sans-serif', grid: { stroke: found.gridline, width: 1 }, ticks: { show: false } };
    this._plot?.destroy();
    this._plot = new uPlot(
      {
        width: Math.max(100, this._box.clientWidth),
        height: HEIGHT,
        legend: { show: false },
        cursor: { y: false, points: { size: 6 } },
        scales: { y: { range: (_, __, max) => [0, Math.max(1, (max ?? 0) * 1.15)] } },
        axes: [{ ...axis, size: 30, space: 60, incrs: STEPS, values: (_, values) => values.map(minute) }, { ...axis, size: 44, values: (_, values) => values.map(short) }],
        series: [
          {},
          ...this._lines.map(({ label }, index) => ({ label, stroke: strokes[index], width: 1.6, points: { show: false }, spanGaps: false })),
        ],
      },
      this._data,
      this._box,
    );
  }
}

/** @param {number} seconds Unix time */
function minute(seconds) {
  return new Date(seconds * 1_000).toISOString().slice(11, 16);
}

/** @param {number} value */
function short(value) {
  return value >= 10_000 ? `${Math.round(value / 1_000)}k` : String(Math.round(value * 10) / 10);
}
