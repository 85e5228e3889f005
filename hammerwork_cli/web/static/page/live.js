// Follows what changes: over the stream of events, and by asking now and then where that does not come through.

const POLL_MS = 5000;
const DEAF_MS = 4000;
/** What comes in a burst is one change. */
const GATHER_MS = 400;

export class Live {
  /**
   * @param {import("../client.js").SpawnManager} client
   * @param {{
   *   jobs: (jobs: object[]) => void,
   *   changed: (what: {parents: Set<string> | null, figures: boolean}) => Promise<void>,
   *   state: (state: string) => void,
   * }} listeners `jobs` hears at once; `changed` of several changes together: of which jobs the children changed,
   *   `null` for all, and whether the figures cannot wait
   */
  constructor(client, listeners) {
    this._client = client;
    this._listeners = listeners;
    this._state = listeners.state;
    this._busy = false;
    this._again = false;
    this._gathering = null;
    this._polling = null;
    this._forget();
  }

  _forget() {
    this._everything = false;
    this._figures = false;
    this._parents = new Set();
  }

  start() {
    this.stop();
    this._deaf = setTimeout(() => this._lose({ status: -1 }), DEAF_MS);
    this._unsubscribe = this._client.subscribe((event) => this._hear(event), {
      onState: (state) => (state === "open" ? this._listen() : this._lose(state)),
    });
  }

  stop() {
    this._unsubscribe?.();
    clearTimeout(this._deaf);
    clearTimeout(this._gathering);
    clearInterval(this._polling);
    this._gathering = null;
    this._polling = null;
  }

  _listen() {
    clearTimeout(this._deaf);
    clearInterval(this._polling);
    this._polling = null;
    this._state("live");
  }

  _lose(error) {
    clearTimeout(this._deaf);
    this._state(error.status === 0 ? "lost" : "polling");
    if (error.status !== 401) this._polling ??= setInterval(() => this._refresh(true), POLL_MS);
  }

  _hear({ type, data }) {
    if (type === "database") this._state(data.reachable ? "live" : "unreachable");
    if (type === "jobs") this._note(data.jobs);
    else this._everything = true;
    if (type === "queues" || type === "database") this._figures = true;
    this._gather();
  }

  _note(jobs) {
    this._listeners.jobs(jobs);
    for (const job of jobs) {
      for (const parent of job.depends_on) this._parents.add(parent);
    }
  }

  _gather() {
    this._gathering ??= setTimeout(() => {
      this._gathering = null;
      this._refresh(this._everything);
    }, GATHER_MS);
  }

  async _refresh(everything) {
    if (document.hidden) return;
    if (this._busy) {
      this._again = true;
      return;
    }
    this._busy = true;
    const what = { parents: everything ? null : this._parents, figures: this._figures };
    this._forget();
    await this._listeners.changed(what);
    this._busy = false;
    if (this._again) {
      this._again = false;
      this._gather();
    }
  }
}
