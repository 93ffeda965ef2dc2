/** Hands messages to handlers one after the other; a handler that returns a promise is waited for. */

export class Delivery {
  /** `handOver(item)` returns a promise where a handler did; `done(item)` is called when its handlers have returned. */
  constructor(handOver, done) {
    this._handOver = handOver;
    this._done = done;
    this._items = [];
    this._head = 0;
    this._isBusy = false;
    this._idlers = [];
  }

  get waiting() {
    return this._items.length - this._head;
  }

  put(item) {
    this._items.push(item);
    if (!this._isBusy) this._drain();
  }

  /** Wait until nothing waits. */
  idle() {
    return this._isBusy || this.waiting ? new Promise((resolve) => this._idlers.push(resolve)) : Promise.resolve();
  }

  _drain() {
    this._isBusy = true;
    while (this._head < this._items.length) {
      const item = this._items[this._head];
      this._items[this._head++] = undefined;
      if (this._head > 1_024 && this._head * 2 > this._items.length) {
        this._items.splice(0, this._head);
        this._head = 0;
      }
      const pending = this._handOver(item);
      if (pending) {
        pending.then(() => {
          this._done(item);
          this._drain();
        });
        return;
      }
      this._done(item);
    }
    this._items.length = this._head = 0;
    this._isBusy = false;
    const idlers = this._idlers;
    this._idlers = [];
    for (const resolve of idlers) resolve();
  }
}
