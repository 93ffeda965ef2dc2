/** A table that the service sorts and cuts: it holds one page, whatever there is. */

import { fill, make } from '../common/dom.js';
import { grouped } from '../common/format.js';

/**
 * @typedef {Record<string, any>} Row
 * @typedef {{ label: string, sort?: string, isNumber?: boolean, cell: (row: Row) => Node | string, state?: (row: Row) => string | null, title?: (row: Row) => string, isShown?: (rows: Row[]) => boolean }} Column
 * @typedef {{ total: number, pages: number, page: number, rows: Row[] }} Page
 */

export class PagedTable {
  /**
   * @param {{ box: HTMLElement, pager: HTMLElement, found: HTMLElement, caption: string, columns: Column[], sort: string, order: 'up' | 'down', empty: string }} options
   * @param {(query: Record<string, string>) => Promise<Page | null>} ask
   */
  constructor(options, ask) {
    this._options = options;
    this._ask = ask;
    this.query = { sort: options.sort, order: options.order, page: '1' };
  }

  /** Ask for the page again. */
  async refresh() {
    const asked = JSON.stringify(this.query);
    const page = await this._ask(this.query);
    if (page && asked === JSON.stringify(this.query)) this._show(page);
  }

  /** @param {Record<string, string>} change */
  set(change) {
    this.query = { ...this.query, page: '1', ...change };
    void this.refresh();
  }

  /** @param {Page} page */
  _show(page) {
    const { box, pager, found, empty } = this._options;
    const focused = document.activeElement instanceof HTMLElement && box.contains(document.activeElement) ? document.activeElement.dataset.focus : undefined;
    found.textContent = grouped(page.total);
    fill(box, page.rows.length ? this._table(page.rows) : make('p', { class: 'empty' }, empty));
    fill(pager, page.pages > 1 && this._step('Previous', page.page - 1, page), page.pages > 1 && `Page ${grouped(page.page)} of ${grouped(page.pages)}`, page.pages > 1 && this._step('Next', page.page + 1, page));
    if (focused) /** @type {HTMLElement | null} */ (box.querySelector(`[data-focus="${CSS.escape(focused)}"]`))?.focus();
  }

  /** @param {Row[]} rows */
  _table(rows) {
    const columns = this._options.columns.filter(({ isShown }) => isShown?.(rows) ?? true);
    const head = make('tr');
    for (const column of columns) head.append(this._heading(column));
    const body = make('tbody');
    for (const row of rows) {
      const line = make('tr');
      for (const { cell, isNumber, state, title } of columns) {
        const classes = [isNumber ? 'number' : '', state?.(row) ?? ''].filter(Boolean).join(' ');
        line.append(make('td', { class: classes || null, title: title?.(row) }, cell(row)));
      }
      body.append(line);
    }
    return make('table', {}, make('caption', { class: 'unseen' }, this._options.caption), make('thead', {}, head), body);
  }

  /** @param {Column} column */
  _heading({ label, sort, isNumber }) {
    const isSorted = sort !== undefined && sort === this.query.sort;
    const direction = this.query.order === 'up' ? 'ascending' : 'descending';
    const content = sort === undefined ? make('span', {}, label || make('span', { class: 'unseen' }, 'Actions')) : make('button', { type: 'button', 'data-focus': `sort-${sort}`, onclick: () => this._sortBy(sort) }, label);
    return make('th', { scope: 'col', class: isNumber ? 'number' : null, 'aria-sort': isSorted ? direction : null }, content);
  }

  /** @param {string} sort */
  _sortBy(sort) {
    const order = this.query.sort === sort && this.query.order === 'down' ? 'up' : 'down';
    this.set({ sort, order });
  }

  /** @param {string} label @param {number} number @param {Page} page */
  _step(label, number, page) {
    return make('button', { type: 'button', class: 'plain', disabled: number < 1 || number > page.pages, onclick: () => this.set({ page: String(number) }) }, label);
  }
}
