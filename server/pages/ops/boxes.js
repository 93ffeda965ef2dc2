/** The boxes of the operator's page, each made of the overview. */

import { make } from '../common/dom.js';
import { clock, duration, exactClock, grouped, size, text } from '../common/format.js';

/** @typedef {Record<string, any>} Json */

const ANSWERS = { yes: 'Yes', wait: 'Better wait', no: 'No' };
const LATE_FACTOR = 5;
const LATE_SECONDS = 60;

/** @param {Json} advice @returns {{ answer: string, reasons: HTMLElement[] }} */
export function restart(advice) {
  const answer = ANSWERS[/** @type {keyof typeof ANSWERS} */ (advice.answer)] ?? advice.answer;
  return { answer, reasons: advice.reasons.map((/** @type {Json} */ reason) => make('li', { class: reason.answer }, sentence(reason.text))) };
}

/** @param {Json} byTier @returns {HTMLElement[]} */
export function tiers(byTier) {
  return Object.entries(byTier).map(([name, { current, limit }]) => {
    const share = limit ? current / limit : 0;
    const fill = make('i');
    fill.style.width = `${Math.min(100, share * 100)}%`;
    const level = share >= 1 ? 'full' : share >= 0.85 ? 'high' : '';
    return make(
      'div',
      { class: 'tier' },
      make('span', {}, name),
      make('div', { class: `meter ${level}`, role: 'meter', 'aria-label': `${name} connections`, 'aria-valuenow': current, 'aria-valuemin': 0, 'aria-valuemax': limit }, fill),
      make('span', { class: 'number' }, `${grouped(current)} / ${grouped(limit)}`),
    );
  });
}

/** @param {Json[]} sources @param {Json[]} paces @returns {HTMLElement[]} */
export function sources(sources, paces) {
  if (!sources.length) return [make('p', { class: 'empty' }, 'No source is configured.')];
  const pace = new Map(paces.map((each) => [each.name, each.pace_seconds]));
  return sources.map((source) => {
    const age = source.last_event_age_seconds;
    const allowed = Math.max(LATE_SECONDS, LATE_FACTOR * (pace.get(source.name) ?? 0));
    const isLate = age === null ? source.state === 'running' : age > allowed;
    const isBad = source.state !== 'running' && source.state !== 'starting';
    const age_text = age === null ? 'nothing yet' : `${duration(age)} ago`;
    const trouble = source.last_error ? `${source.last_error}` : null;
    return make(
      'div',
      { class: 'source' },
      make('strong', {}, source.name),
      make('span', { class: `chip ${isBad ? 'bad' : isLate ? 'warn' : 'good'}` }, isBad ? source.state : isLate ? `late: ${age_text}` : age_text),
      make('span', { class: 'small' }, `${grouped(source.events)} events${source.errors ? `, ${grouped(source.errors)} errors` : ''}${source.rejected ? `, ${grouped(source.rejected)} rejected` : ''}${trouble ? ` · ${trouble}` : ''}`),
    );
  });
}

/** @param {Json} refused @returns {HTMLElement[]} */
export function refusals(refused) {
  const found = Object.entries(refused).sort(([, one], [, other]) => other - one);
  if (!found.length) return [make('p', { class: 'empty' }, 'Nobody was refused.')];
  return found.map(([reason, count]) => make('div', { class: 'refusal' }, make('span', {}, sentence(reason.replaceAll('_', ' '))), make('span', { class: 'number' }, grouped(count))));
}

/** @param {Json} status @returns {HTMLElement[]} */
export function process(status) {
  const { history } = status;
  /** @type {[string, string][]} */
  const facts = [
    ['Version', `${status.version} · ${String(status.fingerprint).slice(0, 12)}`],
    ['Process', `${status.pid}${status.supervisor ? `, by ${status.supervisor}` : ''}`],
    ['Memory', size(status.memory_bytes)],
    ['Loop lag', `${status.loop_lag_ms.p99} ms (99 %)`],
    ['Subscription groups', grouped(status.subscription_groups)],
    ['Slow clients', `${grouped(status.slow_consumers.lagging)} now, ${grouped(status.slow_consumers.closed)} closed`],
    ['History', history.problem ?? history.trouble ?? `${history.is_counted ? grouped(history.events) : 'counting'} events, ${size(history.size_bytes)}`],
    ['History reaches back to', history.oldest_id ? `${clock(Number(String(history.oldest_id).split('-')[0]))}` : '–'],
    ['Key database', status.keys.problem ?? `${grouped(status.keys.queries)} queries`],
    ['Log', status.log.problem ?? text(status.log.path ?? 'standard error')],
  ];
  return facts.flatMap(([name, value]) => [make('dt', {}, name), make('dd', {}, value)]);
}

/** @param {Json} verdict @returns {HTMLElement[]} */
export function doctor(verdict) {
  if (verdict.is_running) return [make('p', { class: 'empty' }, 'Doctor is looking …')];
  if (verdict.problem) return [make('p', { class: 'problem' }, verdict.problem)];
  if (verdict.at === null) return [make('p', { class: 'empty' }, 'Not run from this page since the service started.')];
  const counts = Object.entries(verdict.counts).map(([status, count]) => `${count} ${status.replaceAll('_', ' ')}`).join(', ');
  const head = make('p', {}, make('span', { class: `chip ${verdict.ok ? 'good' : 'bad'}` }, verdict.ok ? 'All well' : 'Something is wrong'), ` ${counts} · ${exactClock(verdict.at)}`);
  return [head, ...verdict.findings.map(finding)];
}

/** @param {Json} found */
function finding(found) {
  const level = /fail|error|crit/.test(found.status) ? 'bad' : 'warn';
  return make('div', { class: 'finding' }, make('span', { class: `chip ${level}` }, found.id), ` ${text(found.observed)}`, found.fix ? make('code', {}, found.fix) : null);
}

/** @param {string} line @returns {HTMLElement} */
export function logLine(line) {
  const level = /\[(?:error|critical)|"level": ?"(?:error|critical)/.test(line) ? 'bad' : /\[warning|"level": ?"warning/.test(line) ? 'warn' : null;
  return make('li', { class: level }, line);
}

/** @param {string} words */
function sentence(words) {
  return words.charAt(0).toUpperCase() + words.slice(1);
}
