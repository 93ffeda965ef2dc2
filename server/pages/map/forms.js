/** The filters and the key, as a person types them. */

import { byId, fill, make, setText } from '../common/dom.js';
import { areSet, KINDS, NAMES, noFilters, PHASES, readWords } from './filters.js';
import { phaseWords } from './flight_card.js';

const HINTS = {
  airport: 'departure or arrival, like KJFK EGLL',
  centre: 'like ZNY EGTT',
  fir: 'like KZNY EDGG',
  callsign: 'how it begins, like BAW DAL1',
  phase: '',
};

/**
 * @param {import('./filters.js').Filters} filters
 * @param {(filters: import('./filters.js').Filters) => void} apply
 */
export function filterForm(filters, apply) {
  const form = make('form', { class: 'form', 'aria-label': 'Filters' });
  for (const kind of KINDS.filter((each) => each !== 'phase')) {
    const id = `filter-${kind}`;
    const input = make('input', { id, name: kind, value: filters[kind].join(' '), autocomplete: 'off', spellcheck: 'false', autocapitalize: 'characters', placeholder: 'any' });
    form.append(make('label', { for: id }, NAMES[kind], make('span', {}, HINTS[kind]), input));
  }
  const phases = make('div', { class: 'chips' });
  for (const phase of PHASES) {
    const box = make('input', { type: 'checkbox', name: 'phase', value: phase, checked: filters.phase.includes(phase) });
    phases.append(make('label', { class: 'toggle' }, box, make('span', {}, phaseWords(phase))));
  }
  const clear = make('button', { type: 'button', class: 'plain', disabled: !areSet(filters), onclick: () => apply(noFilters()) }, 'Clear all filters');
  form.append(make('fieldset', {}, make('legend', {}, 'Phase'), phases), clear);
  form.append(make('p', { class: 'small' }, 'The filters stand in the address of this page: copy it to share the view. The key is never part of it.'));
  form.addEventListener('input', () => {
    const read = noFilters();
    const data = new FormData(form);
    for (const kind of KINDS) read[kind] = kind === 'phase' ? data.getAll('phase').map(String) : readWords(String(data.get(kind) ?? ''));
    clear.disabled = !areSet(read);
    apply(read);
  });
  form.addEventListener('submit', (event) => event.preventDefault());
  return form;
}

/**
 * Ask for the key, and why it is asked for. The dialog can't be closed without one.
 * @param {string | null} problem
 * @param {(key: string) => void} use
 */
export function askForKey(problem, use) {
  const dialog = byId('key-dialog', HTMLDialogElement);
  const form = byId('key-form', HTMLFormElement);
  const input = byId('key-text', HTMLInputElement);
  const told = byId('key-problem', HTMLElement);
  told.hidden = problem === null;
  setText(told, problem ?? '');
  dialog.oncancel = (event) => event.preventDefault();
  let key = '';
  form.onsubmit = () => {
    key = input.value.trim();
    input.value = '';
    if (key) use(key);
  };
  // A browser lets nobody prevent a second Escape.
  dialog.onclose = () => {
    if (!key) dialog.showModal();
  };
  if (!dialog.open) dialog.showModal();
  input.focus();
}

/**
 * Say why a flight that was looked for is not on the map, and what to do about it.
 * @param {HTMLElement} box
 * @param {string} title
 * @param {string[]} reasons
 * @param {{ text: string, act: () => void } | null} remedy
 * @param {() => void} close
 */
export function sayWhyNot(box, title, reasons, remedy, close) {
  const list = make('ul');
  for (const reason of reasons) list.append(make('li', {}, reason));
  fill(
    box,
    make(
      'div',
      { class: 'why-not' },
      make('strong', {}, title),
      list,
      make('span', { class: 'chips' }, remedy && make('button', { type: 'button', class: 'plain', onclick: remedy.act }, remedy.text), make('button', { type: 'button', class: 'plain', onclick: close }, 'Close')),
    ),
  );
  box.hidden = false;
}
