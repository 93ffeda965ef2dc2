/** The public status: whether the service is up, and how old its data is. */

import { findService, socketPath } from '../common/address.js';
import { byId, setText } from '../common/dom.js';
import { duration } from '../common/format.js';
import { followTheme } from '../common/theme.js';

const EVERY_MS = 15_000;
const { folder } = findService(window.location, 'status', socketPath());

/** @param {'up' | 'down'} state @param {string} answer @param {string} age */
function show(state, answer, age) {
  /** @type {HTMLElement} */ (document.querySelector('.status')).dataset.state = state;
  setText(byId('answer', HTMLElement), answer);
  setText(byId('age', HTMLElement), age);
}

async function look() {
  if (document.hidden) return;
  try {
    const response = await fetch(`${folder}status/data`, { cache: 'no-store', credentials: 'omit', referrerPolicy: 'no-referrer' });
    const { data_age_seconds: seconds } = await response.json();
    show('up', 'Up', seconds === null ? 'No data yet' : `The newest data is ${duration(seconds)} old`);
  } catch {
    show('down', 'Does not answer', 'It is asked again every few seconds');
  }
}

followTheme(byId('theme', HTMLButtonElement), () => {});
void look();
setInterval(look, EVERY_MS);
document.addEventListener('visibilitychange', look);
