// The operations, and the figures of queues, workers and failures.

import { pauseAfter } from "./pace.js";

/** @import { JobNode, Page, Queue, SpawnManager, SpawnOperation, SpawnStats, Worker } from "../../client.js" */
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
    this._session = session;
    this.hours = 24;
    /** The queue that the page is limited to; "" for all. */
    this.queue = "";
    /** @type {SpawnOperation[] | null} */
    this.operations = null;
    /** @type {string | null} */
    this.cursor = null;
    /** @type {SpawnStats | null} */
    this.stats = null;
    /** @type {Queue[] | null} */
    this.queues = null;
    /** @type {JobNode[] | null} */
    this.failures = null;
    /** @type {Worker[] | null} */
    this.workers = null;
    this._figuresNext = 0;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this._figuresDue = undefined;
  }

  /** Reads everything; the figures later, unless `figures`, when they were counted a short time ago. */
  async read(figures = true) {
    const wait = figures ? 0 : this._figuresNext - Date.now();
    // Each part is drawn when it arrives: figures may take longer.
    await Promise.all([this._readOperations(), wait > 0 ? this._readFiguresAfter(wait) : this._readFigures()]);
    this._session.error = null;
  }

  async readMore() {
    const page = await this._operationPage(OPERATIONS, this.cursor);
    this.operations = [...(this.operations ?? []), ...page];
    this.cursor = page.cursor;
  }

  /**
   * Limits the page to a queue or a time window.
   * @param {{queue?: string, hours?: number}} filter
   */
  async filter({ queue = this.queue, hours = this.hours }) {
    this.queue = queue;
    this.hours = hours;
    this.operations = null;
    this._draw();
    await this.read();
  }

  async _readOperations() {
    const page = await this._operationPage(Math.min(Math.max(this.operations?.length ?? 0, OPERATIONS), MAX_OPERATIONS));
    this.operations = page;
    this.cursor = page.cursor;
    this._draw();
  }

  /**
   * @param {number} limit
   * @param {string | null} [cursor]
   * @returns {Promise<Page<SpawnOperation>>}
   */
  _operationPage(limit, cursor) {
    return this._client.getSpawnOperations(limit, { cursor, queue: this.queue || null });
  }

  /** @param {number} wait */
  _readFiguresAfter(wait) {
    this._figuresDue ??= setTimeout(() => this._session.attempt(() => this._readFigures()), wait);
  }

  async _readFigures() {
    clearTimeout(this._figuresDue);
    this._figuresDue = undefined;
    const started = Date.now();
    const scope = this.queue || null;
    [this.stats, this.queues, this.failures, this.workers] = await Promise.all([
      this._client.getSpawnStats(scope, this.hours, { detailed: true }),
      this._client.getQueues(),
      this._client.getJobs(LATEST_FAILURES, { queue: scope, status: "Failed,Dead,TimedOut" }),
      this._client.getWorkers(),
    ]);
    this._figuresNext = Date.now() + pauseAfter(Date.now() - started);
    this._draw();
  }
}
