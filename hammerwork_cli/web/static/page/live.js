// Follows what changes: over the stream of events, and by asking now and then where that does not come through.

const POLL_MS = 5000;
const DEAF_MS = 4000;
/** What comes in a burst is one change. */
const GATHER_MS = 400;

export class Live {
  /**
   * @param {import("../client.js").SpawnManager} client
   * @param {{changed: (event: object | null) => Promise<void>, state: (state: string) => void}} listeners
   */
  constructor(client, { changed, state }) {
    this._client = client;
    this._changed = changed;
    this._state = state;
    this._busy = false;
    this._again = false;
  }

  start() {
    this.stop();
    this._deaf = setTimeout(() => this._poll(), DEAF_MS);
    this._unsubscribe = this._client.subscribe((event) => this._hear(event), {
      onState: (state) => (state === "open" ? this._listen() : this._lose(state)),
    });
  }

  stop() {
    this._unsubscribe?.();
    clearTimeout(this._deaf);
    clearTimeout(this._gathering);
    clearInterval(this._polling);
    this._polling = null;
  }

  _listen() {
    const wasPolling = this._polling !== null && this._polling !== undefined;
    clearTimeout(this._deaf);
    clearInterval(this._polling);
    this._polling = null;
    this._state("live");
    if (wasPolling) this._gather();
  }

  _lose(error) {
    clearTimeout(this._deaf);
    this._state(error.status === 0 ? "lost" : "polling");
    if (error.status !== 401) this._poll();
  }

  _poll() {
    if (this._polling) return;
    if (!this._lost) this._state("polling");
    this._polling = setInterval(() => this._refresh(), POLL_MS);
  }

  _hear(event) {
    if (event.type !== "ping") this._gather();
  }

  _gather() {
    clearTimeout(this._gathering);
    this._gathering = setTimeout(() => this._refresh(), GATHER_MS);
  }

  async _refresh() {
    if (document.hidden) return;
    if (this._busy) {
      this._again = true;
      return;
    }
    this._busy = true;
    await this._changed();
    this._busy = false;
    if (this._again) {
      this._again = false;
      this._gather();
    }
  }
}
