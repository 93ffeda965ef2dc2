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

/** What a client that is refused is told, by the reason in our counts. */
const CODES = new Map([
  ...['missing', 'malformed', 'checksum', 'unknown', 'inactive', 'expired', 'tier', 'tier_changed', 'address'].map((each) => /** @type {const} */ ([each, 'AUTH_FAILED'])),
  ['limit', 'CONNECTION_LIMIT'], ['unavailable', 'AUTH_UNAVAILABLE'], ['over-eager', 'HTTP 429'], ['operator', 'HTTP 401'],
]);
const REASONS = new Map([
  ['missing', 'No key'], ['malformed', 'Not a key'], ['checksum', 'Mistyped key'], ['unknown', 'Unknown key'],
  ['inactive', 'Revoked key'], ['expired', 'Expired key'], ['tier', 'Key without a valid tier'], ['tier_changed', 'Tier changed'],
  ['address', 'Key not valid from this address'], ['limit', 'Limit of connections reached'],
  ['unavailable', 'Keys could not be checked'], ['over-eager', 'Address sent too many bad keys'], ['operator', "Not the operator's token"],
]);

/** @param {Json} refused @param {Json} errors @returns {HTMLElement[]} */
export function refusals(refused, errors) {
  const found = Object.entries(refused).sort(([, one], [, other]) => other - one);
  const told = Object.entries(errors).sort(([, one], [, other]) => other - one);
  const boxes = found.map(([reason, count]) => refusal(REASONS.get(reason) ?? sentence(reason.replaceAll('_', ' ')), CODES.get(reason) ?? null, count));
  if (!found.length) boxes.push(make('p', { class: 'empty' }, 'Nobody was refused.'));
  if (told.length) boxes.push(make('h3', { class: 'part' }, 'Errors told to connected clients'), ...told.map(([code, count]) => refusal('', code, count)));
  return boxes;
}

/** @param {string} words @param {string | null} code @param {number} count */
function refusal(words, code, count) {
  return make('div', { class: 'refusal' }, make('span', {}, words, words && code ? ' ' : null, code && make('code', { class: 'small' }, code)), make('span', { class: 'number' }, grouped(count)));
}

/**
 * The nodes that share a broker, and which of them runs which source.
 * @param {Json} nodes @returns {{ engine: string, nodes: HTMLElement, leases: HTMLElement }}
 */
export function nodes({ engine, nodes: all, leases, problem }) {
  const trouble = problem ?? engine?.problem;
  const store = engine ? `${engine.address}${engine.version ? ` · ${engine.version} · ${size(engine.used_memory)}` : ''}` : '';
  const columns = ['Node', 'State', 'Clients', 'Events behind', 'Delay', 'Clock', 'Version', 'Runs'];
  const rows = all.map((/** @type {Json} */ node) => [
    make('span', {}, make('strong', {}, node.name), node.is_here ? ' (this one)' : null, node.trouble ? make('span', { class: 'small' }, ` ${node.trouble}`) : null),
    make('span', { class: `chip ${node.state === 'alive' ? 'good' : node.state === 'silent' ? 'warn' : 'bad'}` }, node.state === 'alive' ? 'alive' : `${node.state} for ${duration(node.age_seconds)}`),
    grouped(node.connections), node.lag_events === null ? '–' : `${grouped(node.lag_events)}${node.lag_events >= 1_000 ? ' or more' : ''}`,
    `${grouped(node.lag_ms)} ms`, `${node.clock_offset_ms > 0 ? '+' : ''}${node.clock_offset_ms} ms`, `${node.version} · ${String(node.fingerprint).slice(0, 8)}`, node.sources.join(', ') || '–',
  ]);
  const held = leases.map((/** @type {Json} */ lease) => [lease.name, lease.holder ?? make('span', { class: 'chip bad' }, 'no node'), lease.holder ? `${duration(lease.seconds_left)} left` : '–']);
  return {
    engine: trouble ? `${store} · ${trouble}` : store,
    nodes: plainTable('Nodes', columns, rows, 'No node is known.'),
    leases: plainTable('Leases of sources', ['Source', 'Runs on', 'Lease'], held, 'No source is configured.'),
  };
}

/** The processes that serve the clients. @param {Json[]} workers */
export function workers(workers) {
  const columns = ['Worker', 'State', 'Clients', 'Loop lag (99 %)', 'Events behind', 'Memory', 'Up', 'Started again'];
  const rows = workers.map((worker) => {
    const level = worker.state === 'ready' ? 'good' : worker.pid === null ? 'bad' : 'warn';
    const again = worker.restarts ? `${grouped(worker.restarts)} ×: ${text(worker.last_end)}` : 'never';
    const state = make('span', { class: `chip ${level}` }, worker.state);
    if (worker.pid === null) return [String(worker.number), state, '–', '–', '–', '–', '–', again];
    return [
      `${worker.number} (pid ${worker.pid})`, state, grouped(worker.connections), `${worker.loop_lag_p99_ms} ms`, grouped(worker.lag_events), size(worker.memory_bytes), duration(worker.uptime_seconds), again,
    ];
  });
  return plainTable('Worker processes', columns, rows, 'One process serves the clients.');
}

/** @param {string} caption @param {string[]} columns @param {(Node | string)[][]} rows @param {string} none */
function plainTable(caption, columns, rows, none) {
  if (!rows.length) return make('p', { class: 'empty' }, none);
  const head = make('tr');
  for (const column of columns) head.append(make('th', { scope: 'col' }, make('span', {}, column)));
  const body = make('tbody');
  for (const row of rows) {
    const line = make('tr');
    for (const cell of row) line.append(make('td', {}, cell));
    body.append(line);
  }
  return make('table', {}, make('caption', { class: 'unseen' }, caption), make('thead', {}, head), body);
}

/** @param {Json} status @returns {HTMLElement[]} */
export function process(status) {
  const { history } = status;
  const memory = status.workers.reduce((/** @type {number} */ sum, /** @type {Json} */ worker) => sum + worker.memory_bytes, status.memory_bytes);
  /** @type {[string, string][]} */
  const facts = [
    ['Version', `${status.version} · ${String(status.fingerprint).slice(0, 12)}`],
    ['Process', `${status.pid}${status.supervisor ? `, by ${status.supervisor}` : ''}`],
    ['Memory', status.workers.length ? `${size(memory)} in ${grouped(1 + status.workers.length)} processes` : size(memory)],
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
