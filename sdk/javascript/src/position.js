/**
 * Where a client stands in the order of all events. Pure: messages and times in, decisions out.
 *
 * The baseline is the last event taken in: nothing at or before it is handed over again. The point is where to resume:
 * every event up to it has come. It is the last event's id or, on a quiet subscription, a later one that a heartbeat
 * named.
 */

const EVENT_ID = /^([0-9]{1,15})-([0-9]{1,10})$/;
const SETTLED_MS = 600_000;

const known = new Map();

/** Read an event id into a pair of numbers; null for what is none. Each id is asked about several times. */
export function parseId(text) {
  if (typeof text !== 'string') return null;
  let pair = known.get(text);
  if (pair === undefined) {
    const match = EVENT_ID.exec(text);
    pair = match ? [Number(match[1]), Number(match[2])] : null;
    if (known.size >= 64) known.clear();
    known.set(text, pair);
  }
  return pair;
}

/** Tell whether one id, as text, comes after another. Text that is no id comes after nothing. */
export function isAfter(one, other) {
  const [a, b] = [parseId(one), parseId(other)];
  if (!a || !b) return false;
  return a[0] !== b[0] ? a[0] > b[0] : a[1] > b[1];
}

export class Position {
  constructor({ after = null, epoch = null, isEnabled = true } = {}) {
    this.baseline = after;
    this.point = after;
    this.asked = null;
    /** A whole state has come, and nothing that would have changed it was missed since. */
    this.hasState = false;
    this.canResume = false;
    /** Whether the server at hand keeps history, and state, for its clients; the former one doesn't. */
    this.serverResumes = false;
    this.epoch = epoch;
    this._epochNow = null;
    this._isEnabled = isEnabled;
    this._isSubscribed = false;
    this._isLive = false;
    this._target = null;
    this._heartbeat = null;
    this._lastEventAt = 0;
    this._isGapTold = false;
    this._begunAt = null;
  }

  /** What to send as `after`; null: nothing was seen, or this server can't resume. */
  get after() {
    return this.canResume ? this.point ?? this._begunAt : null;
  }

  /** Begin a connection with the data of its greeting. */
  connected(data) {
    this.serverResumes = data.resume === true;
    this.canResume = this._isEnabled && this.serverResumes;
    this._isSubscribed = this._isLive = this._isGapTold = false;
    this._target = this._heartbeat = null;
    this._epochNow = typeof data.epoch === 'string' ? data.epoch : null;
    if (this.point === null) this.epoch = this._epochNow;
  }

  /** Begin after an event that the program knows; what was seen since counts more. */
  beginsAfter(id) {
    if (this.point === null && parseId(id)) this.baseline = this.point = id;
  }

  /** Owe the program what comes after this id, if nothing older is owed. */
  awaitsFrom(id) {
    if (this.point === null && this.canResume && parseId(id)) this.point = id;
  }

  /** Take in the answer to this connection's first subscribe. Returns why there is a gap, or null. */
  subscribed(answer, asked, history, now) {
    this._isSubscribed = true;
    this._lastEventAt = now;
    const newest = parseId(answer.last_event_id) ? answer.last_event_id : null;
    const former = this.epoch;
    this.epoch = this._epochNow;
    if (asked !== null && former !== null && this.epoch !== null && former !== this.epoch) {
      this._target = newest;
      this._beginAnew(newest);
      return this._tellOnce('the server has another history than before');
    }
    if (asked !== null) {
      this._target = newest;
      this._isLive = newest !== null && !isAfter(newest, asked);
      return this._tellOnce(this._gap(answer, asked, newest));
    }
    if (history) {
      this._target = newest;
      if ('last' in history) this._begunAt = newest;
      return this._tellOnce(answer.gap === true ? 'history does not reach back so far' : null);
    }
    this._isLive = true;
    if (newest !== null && this.canResume) this.point = newest;
    return null;
  }

  _gap(answer, asked, newest) {
    if (answer.gap === true) {
      // Another history, or an older one that was restored: its ids may be below ours, and are new.
      if (newest === null || isAfter(asked, newest)) this._beginAnew(newest);
      return 'history no longer reaches back';
    }
    if (answer.resumed === false && isAfter(newest, asked)) {
      this._beginAnew(newest);
      return 'the server did not resume';
    }
    return null;
  }

  _beginAnew(newest) {
    this.baseline = null;
    this.point = newest ?? this.point;
  }

  _tellOnce(reason) {
    if (reason === null || this._isGapTold) return null;
    this._isGapTold = true;
    this.hasState = false;
    return reason;
  }

  /** Take in HISTORY_UNAVAILABLE: live events follow. Returns why there is a gap; null if that was told. */
  historyUnavailable() {
    this.baseline = null;
    this.hasState = false;
    return this._tellOnce('history does not hold the last event that this client saw');
  }

  /** Note that the server can't resume. Returns why there is a gap, or null when nothing was owed. */
  noHistory() {
    if (!this._isEnabled || this.point === null || this.canResume) return null;
    this.point = null;
    return this._tellOnce("this server can't send what was missed");
  }

  /** Take in an event's id. Returns whether the event is new; one without an id always is. */
  received(id, now) {
    const parsed = parseId(id);
    if (!parsed) return true;
    if (this.baseline !== null && !isAfter(id, this.baseline)) return false;
    this.baseline = id;
    if (this.point === null || isAfter(id, this.point)) this.point = id;
    if (!this._isLive && isAfter(id, this._target)) this._isLive = true;
    this._lastEventAt = now;
    return true;
  }

  /** Take in a heartbeat's newest id. The one before it counts: what was stored up to then had time to come. */
  heartbeat(id, now) {
    if (!this._isSubscribed || !this.canResume) return;
    if (!this._isLive && now - this._lastEventAt >= SETTLED_MS) this._isLive = true;
    if (!this._isLive) return;
    const before = this._heartbeat;
    if (before !== null && (this.point === null || isAfter(before, this.point))) this.point = before;
    this._heartbeat = parseId(id) ? id : null;
  }

  /** Owe nothing any more: a later subscription begins with the live stream. */
  unsubscribedFromAll() {
    this._isSubscribed = this._isLive = false;
    this.point = null;
  }
}
