/** What the program wants to hear of, over every connection. */

export class Subscriptions {
  constructor() {
    this.wishes = [];
  }

  /** Remember a wish; one that asks for nothing new is the one that is there. */
  add(channels, filters, history, state = false) {
    const wish = { channels: [...new Set(channels)], filters: { ...filters }, history, state, isConfirmed: false };
    this.wishes.push(wish);
    return wish;
  }

  /** Take channels away, none named: all. When none is left, the filters go too. */
  remove(channels) {
    const gone = new Set(channels);
    for (const wish of this.wishes) {
      wish.channels = wish.channels.filter((channel) => gone.size > 0 && !gone.has(channel));
    }
    if (!this.wishes.some((wish) => wish.channels.length)) this.wishes = [];
  }

  /** Forget what the server refused. */
  refuse(wish) {
    this.wishes = this.wishes.filter((kept) => kept !== wish);
  }

  /** Merge what the server granted into one wish. */
  confirm(wishes) {
    for (const wish of wishes) wish.isConfirmed = true;
    const granted = this.wishes.filter((wish) => wish.isConfirmed);
    if (!granted.length) return;
    const whole = { ...merge(granted), history: null, isConfirmed: true };
    this.wishes = [whole, ...this.wishes.filter((wish) => !wish.isConfirmed)];
  }

  /** Tell whether any wish, or any that was granted, is to begin with the state. */
  wantsState(isGranted = false) {
    return this.wishes.some((wish) => wish.state && (wish.isConfirmed || !isGranted));
  }

  /** Tell whether some events are filtered out. */
  hasFilters() {
    const values = Object.values(merge(this.wishes).filters);
    return values.some((value) => value !== null && Object.keys(Object(value)).length > 0);
  }

  /** Tell whether what was granted already includes this wish. */
  covers(wish) {
    const { channels, filters, state } = merge(this.wishes.filter((one) => one.isConfirmed));
    return (
      (state || !wish.state) &&
      wish.channels.every((channel) => channels.includes(channel)) &&
      Object.keys(wish.filters).every((kind) => JSON.stringify(filters[kind]) === JSON.stringify(wish.filters[kind]))
    );
  }
}

/** Make one of several wishes: channels add up, filters merge by kind, the first history asked for counts. */
export function merge(wishes) {
  const channels = new Set();
  const filters = {};
  let history = null;
  let state = false;
  for (const wish of wishes) {
    wish.channels.forEach((channel) => channels.add(channel));
    Object.assign(filters, wish.filters);
    history = history ?? wish.history;
    state ||= wish.state;
  }
  return { channels: [...channels], filters, history, state };
}

/** Bring channels into the form of the wire. Throws TypeError for what is no channel. */
export function readChannels(channels) {
  const names = typeof channels === 'string' ? [channels] : [...channels];
  for (const name of names) {
    if (typeof name !== 'string' || !name.trim()) {
      throw new TypeError(`a channel is a name such as 'flight.departed', not ${JSON.stringify(name)}`);
    }
  }
  return names.map((name) => name.trim());
}

/** Bring filters into the form of the wire: one value becomes a list, a Date its text. */
export function readFilters(filters) {
  const read = {};
  for (const [kind, value] of Object.entries(filters ?? {})) {
    if (value === undefined || value === null) continue;
    if (value instanceof Date) read[kind] = value.toISOString();
    else if (kind === 'bbox' || kind.startsWith('dep_window')) read[kind] = value;
    else read[kind] = Array.isArray(value) ? value : [value];
  }
  return read;
}

const UNITS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Bring a wish for history into the form of the wire: `since` may be a Date, or a span such as "10m". */
export function readHistory({ after, since, last } = {}) {
  const given = Object.entries({ after, since, last }).filter(([, value]) => value !== undefined && value !== null);
  if (given.length > 1) {
    throw new TypeError(`only one of after, since and last can be given, not ${given.map(([name]) => name).join(' and ')}`);
  }
  if (!given.length) return null;
  const [name, value] = given[0];
  if (name !== 'since') return { [name]: value };
  const span = typeof value === 'string' ? /^\s*([0-9]{1,6})\s*([smhd])\s*$/.exec(value) : null;
  if (span) return { since: new Date(Date.now() - Number(span[1]) * UNITS[span[2]]).toISOString() };
  return { since: value instanceof Date ? value.toISOString() : value };
}
