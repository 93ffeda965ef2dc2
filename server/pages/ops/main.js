/** The operator's page: asks every few seconds while it is looked at, and does what it is told after asking. */

import { findService, socketPath } from '../common/address.js';
import { byId, fill, make, setText } from '../common/dom.js';
import { clock, duration, grouped, size, text } from '../common/format.js';
import { followTheme } from '../common/theme.js';
import * as boxes from './boxes.js';
import { Chart } from './charts.js';
import { PagedTable } from './paged_table.js';
import { Service, SignedOut } from './service.js';

const EVERY_MS = 5_000;
const KEYS_EVERY_MS = 30_000;
const NODES_EVERY_MS = 15_000;
/** How often a service that is alone is asked whether it still is. */
const ALONE_EVERY_MS = 300_000;
const TYPING_MS = 300;
const LOG_LINES = 200;
const TOAST_MS = 6_000;

/** @typedef {Record<string, any>} Json */

class OpsPage {
  constructor() {
    this.service = new Service(findService(window.location, 'ops', socketPath()).folder);
    this.logAt = 0;
    this.keysAt = 0;
    this.nodesDueAt = 0;
    this.isSignedIn = false;
    this.charts = this.makeCharts();
    this.connections = this.makeConnections();
    this.keys = this.makeKeys();
  }

  begin() {
    followTheme(byId('theme', HTMLButtonElement), () => Object.values(this.charts).forEach((chart) => chart.restyle()));
    Object.values(this.charts).forEach((chart) => chart.restyle());
    this.bindTables();
    const on = (/** @type {string} */ id, /** @type {() => void} */ act) => byId(id, HTMLButtonElement).addEventListener('click', act);
    on('reload', () => this.reload());
    on('doctor-run', () => this.runDoctor());
    on('sign-out', () => this.signOut());
    const wasRefused = window.location.hash === '#refused';
    if (window.location.hash) history.replaceState(null, '', window.location.pathname);
    if (wasRefused) this.signIn('The token was used already, or is older than a minute: run swimctl dashboard again.');
    else void this.lookFirst();
    setInterval(() => {
      if (!document.hidden && this.isSignedIn) void this.look();
    }, EVERY_MS);
    document.addEventListener('visibilitychange', () => {
      if (document.hidden) this.stage('paused', 'Paused: the tab is hidden');
      else if (this.isSignedIn) void this.look();
    });
  }

  async lookFirst() {
    try {
      if (await this.service.hasSession()) await this.look();
      else this.signIn(null);
    } catch (error) {
      this.failed(error);
      setTimeout(() => void this.lookFirst(), EVERY_MS);
    }
  }

  /** Ask for everything that is due. */
  async look() {
    try {
      this.show(await this.service.data('overview'));
      this.isSignedIn = true;
      this.stage('live', 'Live');
      await Promise.all([this.connections.refresh(), this.showLog(), this.showNodes()]);
      if (performance.now() - this.keysAt > KEYS_EVERY_MS || !this.keysAt) {
        this.keysAt = performance.now();
        await this.keys.refresh();
      }
    } catch (error) {
      this.failed(error);
    }
  }

  /** @param {unknown} error */
  failed(error) {
    if (error instanceof SignedOut) this.signIn(this.isSignedIn ? error.message : null);
    else if (error instanceof TypeError) this.stage('lost', 'The service does not answer');
    else this.toast(error instanceof Error ? error.message : String(error));
  }

  // What is shown.

  /** @param {Json} overview */
  show({ status, restart, doctor, trends, paces, errors }) {
    const advice = boxes.restart(restart);
    const box = /** @type {HTMLElement} */ (document.querySelector('.restart'));
    box.dataset.answer = restart.answer;
    setText(byId('restart-answer', HTMLElement), advice.answer);
    fill(byId('restart-reasons', HTMLElement), ...advice.reasons);
    setText(byId('about', HTMLElement), `Up ${duration(status.uptime_seconds)} · ${status.url ?? ''}`);
    setText(byId('connections-total', HTMLElement), grouped(status.connections.total));
    fill(byId('tiers', HTMLElement), ...boxes.tiers(status.connections.by_tier));
    fill(byId('sources', HTMLElement), ...boxes.sources(status.sources, paces));
    fill(byId('refusals', HTMLElement), ...boxes.refusals(status.refused, errors));
    fill(byId('process', HTMLElement), ...boxes.process(status));
    byId('workers-box', HTMLElement).hidden = !status.workers.length;
    if (status.workers.length) fill(byId('workers', HTMLElement), boxes.workers(status.workers));
    fill(byId('doctor', HTMLElement), ...boxes.doctor(doctor));
    byId('doctor-run', HTMLButtonElement).disabled = doctor.is_running;
    Object.values(this.charts).forEach((chart) => chart.show(trends));
    const latency = status.latency_ms;
    this.figures('rate-now', [['series1', 'events', status.events_per_second], ['series2', 'deliveries', status.deliveries_per_second]]);
    this.figures('latency-now', [['series1', 'median', latency?.p50], ['series2', '99 %', latency?.p99], ['series3', 'longest', latency?.max]]);
    this.figures('clients-now', [['series1', 'connected', status.connections.total]]);
  }

  async showNodes() {
    if (performance.now() < this.nodesDueAt) return;
    const found = await this.service.data('nodes');
    this.nodesDueAt = performance.now() + (found.is_shared ? NODES_EVERY_MS : ALONE_EVERY_MS);
    byId('nodes-box', HTMLElement).hidden = !found.is_shared;
    if (!found.is_shared) return;
    const { engine, nodes, leases } = boxes.nodes(found);
    setText(byId('engine', HTMLElement), engine);
    fill(byId('nodes', HTMLElement), nodes);
    fill(byId('leases', HTMLElement), leases);
  }

  /** @param {string} id @param {[string, string, number | null | undefined][]} figures */
  figures(id, figures) {
    const made = figures.map(([colour, label, value]) => {
      const mark = make('i', { 'aria-hidden': 'true' });
      mark.style.background = `var(--${colour})`;
      return make('span', {}, mark, make('b', {}, typeof value === 'number' ? String(Math.round(value * 10) / 10) : '–'), ` ${label}`);
    });
    fill(byId(id, HTMLElement), ...made);
  }

  async showLog() {
    const { last, lines } = await this.service.data('log', { after: String(this.logAt) });
    const list = byId('log', HTMLElement);
    if (last < this.logAt) list.replaceChildren();
    this.logAt = last;
    if (!lines.length) return;
    const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
    list.append(...lines.map(boxes.logLine));
    while (list.childElementCount > LOG_LINES) list.firstElementChild?.remove();
    if (isAtEnd) list.scrollTop = list.scrollHeight;
  }

  makeCharts() {
    return {
      rate: new Chart(byId('rate', HTMLElement), [{ label: 'events', value: (sample) => sample[2] }, { label: 'deliveries', value: (sample) => sample[3] }]),
      latency: new Chart(byId('latency', HTMLElement), [{ label: 'median', value: (sample) => sample[4] }, { label: '99 %', value: (sample) => sample[5] }, { label: 'longest', value: (sample) => sample[6] }]),
      clients: new Chart(byId('clients', HTMLElement), [{ label: 'connected', value: (sample) => sample[1] }]),
    };
  }

  makeConnections() {
    return new PagedTable(
      {
        box: byId('connections', HTMLElement), pager: byId('connections-pager', HTMLElement), found: byId('connections-found', HTMLElement),
        caption: 'Live connections', sort: 'lag', order: 'down', empty: 'Nobody is connected.',
        columns: [
          { label: 'Owner', sort: 'owner', cell: (row) => text(row.owner), title: (row) => `${row.id} ${row.key_hint ?? ''}` },
          { label: 'Tier', sort: 'tier', cell: (row) => row.tier },
          { label: 'Address', sort: 'remote', cell: (row) => row.remote, title: (row) => row.user_agent ?? '' },
          { label: 'Subscribed to', cell: (row) => row.channels.join(' ') || 'nothing', title: (row) => `${row.channels.join(' ')} ${JSON.stringify(row.filters)}` },
          { label: 'Lag', sort: 'lag', isNumber: true, cell: (row) => lag(row), state: (row) => (row.lag_seconds > 10 ? 'bad' : row.lag_seconds > 2 ? 'warn' : null) },
          { label: 'Waiting', sort: 'buffered', isNumber: true, cell: (row) => size(row.buffered_bytes) },
          { label: 'Messages a second', sort: 'rate', isNumber: true, cell: (row) => String(row.per_second) },
          { label: 'Sent', sort: 'sent', isNumber: true, cell: (row) => grouped(row.sent) },
          { label: 'Worker', isNumber: true, isShown: (rows) => rows.some((row) => row.worker !== null), cell: (row) => (row.worker === null ? '–' : String(row.worker)) },
          { label: 'Since', sort: 'since', isNumber: true, cell: (row) => clock(row.connected_at), title: (row) => row.connected_at },
          { label: '', cell: (row) => make('button', { type: 'button', class: 'plain', 'data-focus': row.id, 'aria-label': `Close the connection of ${text(row.owner)} from ${row.remote}`, onclick: () => this.closeConnection(row) }, 'Close') },
        ],
      },
      (query) => this.page('connections', { ...query, search: byId('connections-search', HTMLInputElement).value, tier: byId('connections-tier', HTMLSelectElement).value }),
    );
  }

  makeKeys() {
    return new PagedTable(
      {
        box: byId('keys', HTMLElement), pager: byId('keys-pager', HTMLElement), found: byId('keys-found', HTMLElement),
        caption: 'API keys', sort: 'expires', order: 'up', empty: 'There are no such keys.',
        columns: [
          { label: 'Id', sort: 'id', cell: (row) => String(row.id) },
          { label: 'Owner', sort: 'owner', cell: (row) => row.owner },
          { label: 'Key', cell: (row) => make('code', {}, row.hint) },
          { label: 'Tier', sort: 'tier', cell: (row) => row.tier },
          { label: 'State', cell: (row) => make('span', { class: `chip ${{ active: 'good', expiring: 'warn', expired: 'bad', revoked: 'bad' }[/** @type {string} */ (row.state)] ?? ''}` }, row.state) },
          { label: 'Ends', sort: 'expires', cell: (row) => (row.expires_at ? String(row.expires_at).slice(0, 16).replace('T', ' ') : 'never') },
          { label: 'Last used', cell: (row) => (row.last_used_at ? String(row.last_used_at).slice(0, 16).replace('T', ' ') : 'never') },
          { label: 'Connections', sort: 'connections', isNumber: true, cell: (row) => grouped(row.connections) },
          { label: '', cell: (row) => this.keyButtons(row) },
        ],
      },
      (query) => this.page('keys', { ...query, search: byId('keys-search', HTMLInputElement).value, state: byId('keys-state', HTMLSelectElement).value }),
    );
  }

  /** @param {Json} row */
  keyButtons(row) {
    if (row.state === 'revoked') return '';
    const button = (/** @type {string} */ label, /** @type {() => void} */ act) => make('button', { type: 'button', class: 'plain', 'data-focus': `${label}-${row.id}`, 'aria-label': `${label} key ${row.id} of ${row.owner}`, onclick: act }, label);
    return make('span', {}, row.state !== 'expired' && button('Expire', () => this.endKey(row, 'expire')), ' ', button('Revoke', () => this.endKey(row, 'revoke')));
  }

  /** @param {'connections' | 'keys'} name @param {Record<string, string>} query */
  async page(name, query) {
    try {
      const found = await this.service.data(name, query);
      if (name === 'keys') this.showEnding(found.expiring);
      return found;
    } catch (error) {
      this.failed(error);
      return null;
    }
  }

  /** @param {number} count keys that end soon */
  showEnding(count) {
    const box = byId('keys-ending', HTMLButtonElement);
    box.hidden = !count;
    setText(box, count === 1 ? '1 ends soon' : `${grouped(count)} end soon`);
    box.onclick = () => {
      byId('keys-state', HTMLSelectElement).value = 'expiring';
      this.keys.set({});
    };
  }

  bindTables() {
    for (const [name, table, choice] of /** @type {const} */ ([['connections', this.connections, 'tier'], ['keys', this.keys, 'state']])) {
      /** @type {ReturnType<typeof setTimeout> | undefined} */
      let typing;
      byId(`${name}-search`, HTMLInputElement).addEventListener('input', () => {
        clearTimeout(typing);
        typing = setTimeout(() => table.set({}), TYPING_MS);
      });
      byId(`${name}-${choice}`, HTMLSelectElement).addEventListener('change', () => table.set({}));
    }
  }

  // What is done.

  /** @param {Json} row */
  async closeConnection(row) {
    const isSure = await this.ask(`Close the connection of ${text(row.owner)}?`, `${row.id} from ${row.remote}. The client is asked to come back, and resumes where it was. To keep it out, end its key.`, 'Close it');
    if (isSure) await this.perform(() => this.service.act('close', { connection: row.id }), (done) => (done.closed ? 'The connection is closed.' : 'It was gone already.'));
  }

  /** @param {Json} row @param {'expire' | 'revoke'} how */
  async endKey(row, how) {
    const words = how === 'expire' ? 'The key ends now. It can be given another end later.' : 'The key ends for good.';
    const connections = row.connections ? ` Its ${grouped(row.connections)} live connections are closed within a second.` : '';
    const isSure = await this.ask(`${how === 'expire' ? 'Expire' : 'Revoke'} key ${row.id} of ${row.owner}?`, words + connections, how === 'expire' ? 'Expire it' : 'Revoke it', how === 'revoke');
    const reason = byId('ask-reason', HTMLInputElement).value.trim();
    if (!isSure) return;
    await this.perform(
      () => this.service.act(how, { key_id: row.id, reason: how === 'revoke' && reason ? reason : null }),
      (done) => `Key ${row.id} is ended${done.is_stored ? '' : ' in memory, and stored as soon as the database answers'}; ${grouped(done.closed)} connections were closed.`,
    );
    this.keysAt = 0;
    void this.look();
  }

  async reload() {
    const isSure = await this.ask('Reload the configuration?', 'Changed tiers, limits, log level and sources take effect at once. Nobody is disconnected; an invalid file changes nothing.', 'Reload');
    if (!isSure) return;
    await this.perform(() => this.service.act('reload'), (done) => {
      const changed = done.changed.length ? `Changed: ${done.changed.join(', ')}.` : 'Nothing has changed.';
      return done.needs_restart.length ? `${changed} Only a restart changes ${done.needs_restart.join(', ')}.` : changed;
    });
  }

  async runDoctor() {
    byId('doctor-run', HTMLButtonElement).disabled = true;
    fill(byId('doctor', HTMLElement), ...boxes.doctor({ is_running: true }));
    await this.perform(() => this.service.act('doctor'), (done) => (done.ok ? 'Doctor says: all well.' : 'Doctor has found something.'));
    void this.look();
  }

  /** @param {() => Promise<Json>} work @param {(done: Json) => string} words */
  async perform(work, words) {
    try {
      this.toast(words(await work()));
      await this.connections.refresh();
    } catch (error) {
      this.failed(error);
    }
  }

  /** @param {string} title @param {string} words @param {string} yes @param {boolean} [wantsReason] @returns {Promise<boolean>} */
  ask(title, words, yes, wantsReason = false) {
    const dialog = byId('ask', HTMLDialogElement);
    setText(byId('ask-title', HTMLElement), title);
    setText(byId('ask-text', HTMLElement), words);
    setText(byId('ask-yes', HTMLElement), yes);
    byId('ask-reason-box', HTMLElement).hidden = !wantsReason;
    byId('ask-reason', HTMLInputElement).value = '';
    dialog.returnValue = 'no';
    dialog.showModal();
    byId(wantsReason ? 'ask-reason' : 'ask-no', HTMLElement).focus();
    return new Promise((resolve) => {
      dialog.onclose = () => resolve(dialog.returnValue === 'yes');
    });
  }

  // The session.

  /** @param {string | null} problem */
  signIn(problem) {
    this.isSignedIn = false;
    this.stage('signed-out', 'Signed out');
    const dialog = byId('sign-in', HTMLDialogElement);
    const told = byId('sign-in-problem', HTMLElement);
    told.hidden = problem === null;
    setText(told, problem ?? '');
    dialog.oncancel = (event) => event.preventDefault();
    let isTyped = false;
    dialog.onclose = () => { // a browser lets nobody prevent a second Escape
      if (!isTyped) dialog.showModal();
    };
    byId('sign-in-form', HTMLFormElement).onsubmit = () => {
      const input = byId('token', HTMLInputElement);
      const token = input.value.trim();
      input.value = '';
      isTyped = token !== '';
      if (!isTyped) return;
      void this.service.open(token).then(() => this.look(), (error) => this.signIn(error instanceof Error ? error.message : String(error)));
    };
    if (!dialog.open) dialog.showModal();
  }

  async signOut() {
    await this.service.close().catch((error) => this.failed(error));
    this.signIn(null);
  }

  /** @param {string} stage @param {string} words */
  stage(stage, words) {
    byId('stage', HTMLElement).dataset.stage = stage;
    setText(byId('stage-text', HTMLElement), words);
  }

  /** @param {string} words */
  toast(words) {
    const box = byId('toast', HTMLElement);
    clearTimeout(this.toastTimer);
    setText(box, words);
    box.hidden = false;
    this.toastTimer = setTimeout(() => (box.hidden = true), TOAST_MS);
  }
}

/** @param {Json} row */
function lag(row) {
  if (row.is_catching_up) return 'catching up';
  if (!row.lag_events) return '–';
  return `${grouped(row.lag_events)} ev · ${duration(row.lag_seconds)}`;
}

new OpsPage().begin();
