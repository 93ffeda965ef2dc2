/** Words with a halo, each drawn once and kept as a picture: to draw letters anew in each frame costs most of it. */

const MAX_KEPT = 1_200;
const HALO = 3;

/** @typedef {{ canvas: HTMLCanvasElement, width: number, height: number, base: number }} Word */

export class Words {
  constructor() {
    /** Pixels of the screen for one of the page. */
    this.ratio = 1;
    /** @type {Map<string, Word>} */
    this._kept = new Map();
  }

  /**
   * Write words in the font of the context.
   * @param {CanvasRenderingContext2D} context @param {string} text @param {number} px @param {number} py
   * @param {CanvasTextAlign} align @param {string} colour @param {string} halo
   */
  write(context, text, px, py, align, colour, halo) {
    const name = `${text}|${colour}|${halo}|${context.font}|${this.ratio}`;
    let word = this._kept.get(name);
    if (!word) {
      if (this._kept.size >= MAX_KEPT) this._kept.clear();
      word = this._draw(context, text, colour, halo);
      this._kept.set(name, word);
    }
    const left = align === 'center' ? px - word.width / 2 : px - HALO;
    context.drawImage(word.canvas, Math.round(left * this.ratio) / this.ratio, Math.round((py - word.base) * this.ratio) / this.ratio, word.width, word.height);
  }

  /** @param {CanvasRenderingContext2D} context @param {string} text @param {string} colour @param {string} halo @returns {Word} */
  _draw(context, text, colour, halo) {
    context.textAlign = 'left';
    const measured = context.measureText(text);
    const base = Math.ceil(measured.fontBoundingBoxAscent) + HALO;
    const canvas = document.createElement('canvas');
    canvas.width = Math.ceil((measured.width + 2 * HALO) * this.ratio);
    canvas.height = Math.ceil((base + measured.fontBoundingBoxDescent + HALO) * this.ratio);
    const drawn = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
    drawn.scale(this.ratio, this.ratio);
    Object.assign(drawn, { font: context.font, lineWidth: HALO, lineJoin: 'round', strokeStyle: halo, fillStyle: colour });
    drawn.strokeText(text, HALO, base);
    drawn.fillText(text, HALO, base);
    return { canvas, width: canvas.width / this.ratio, height: canvas.height / this.ratio, base };
  }
}
