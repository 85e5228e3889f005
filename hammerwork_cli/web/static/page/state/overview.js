// The operations, and the figures of queues, workers and failures: each part is read and drawn by itself.

import { Part } from "./part.js";

/** @import { Page, SpawnError, SpawnManager, SpawnOperation } from "../../client.js" */
/** @import { Session } from "./session.js" */

const OPERATIONS = 50;
const MAX_OPERATIONS = 200;
const LATEST_FAILURES = 8;

export class Overview {
  /**
   * @param {SpawnManager} client
   * @param {() => void} draw
   * @param {Session} session
   */
  constructor(client, draw, session) {
    this._client = client;
    this._draw = draw;
    this.hours = 24;
    /** The queue that the page is limited to; "" for all. */
    this.queue = "";
    /** @param {SpawnError | null} error */
    const told = (error) => {
      if (error?.status === 401) session.fail(error);
      draw();
    };
    const scope = () => this.queue || null;
    /** @type {Part<Page<SpawnOperation>>} */
    this.operations = new Part(() => this._operations(), told);
    this.stats = new Part(() => client.getSpawnStats(scope(), this.hours, { detailed: true }), told);
    this.queues = new Part(() => client.getQueues(), told);
    this.failures = new Part(() => client.getJobs(LATEST_FAILURES, { queue: scope(), status: "Failed,Dead,TimedOut" }), told);
    this.workers = new Part(() => client.getWorkers(), told);
  }

  get _figures() {
    return [this.queues, this.failures, this.workers, this.stats];
  }

  /** The failure to show above the page: that of the operations, when nothing else could be read since either. */
  get error() {
    const all = [this.operations, ...this._figures];
    return all.every((part) => part.error) ? this.operations.error : null;
  }

  /**
   * Reads everything, and waits for the operations only. Figures are read later, unless `figures`, when they were counted
   * a short time ago.
   */
  async read(figures = true) {
    for (const part of this._figures) part.read(figures);
    await this.operations.read();
  }

  async readMore() {
    const { value } = this.operations;
    const page = await this._operationPage(OPERATIONS, value?.cursor);
    if (this.operations.value !== value) return;
    this.operations.value = Object.assign([...(value ?? []), ...page], { cursor: page.cursor });
    this._draw();
  }

  /**
   * Limits the page to a queue or a time window.
   * @param {{queue?: string, hours?: number}} filter
   */
  async filter({ queue = this.queue, hours = this.hours }) {
    this.queue = queue;
    this.hours = hours;
    for (const part of [this.operations, this.stats, this.failures]) part.forget();
    this._draw();
    await this.read();
  }

  _operations() {
    const loaded = this.operations.value?.length ?? 0;
    return this._operationPage(Math.min(Math.max(loaded, OPERATIONS), MAX_OPERATIONS));
  }

  /**
   * @param {number} limit
   * @param {string | null} [cursor]
   * @returns {Promise<Page<SpawnOperation>>}
   */
  _operationPage(limit, cursor) {
    return this._client.getSpawnOperations(limit, { cursor, queue: this.queue || null });
  }
}
