// The operations, and the figures of queues, workers and failures: each part is read and drawn by itself.

import { Growing } from "./growing.js";
import { Part } from "./part.js";

/** @import { SpawnError, SpawnManager, SpawnOperation } from "../../client.js" */
/** @import { Session } from "./session.js" */

/** The newest failed jobs that are grouped by their errors. */
const LATEST_FAILURES = 100;

export class Overview {
  /**
   * @param {SpawnManager} client
   * @param {() => void} draw
   * @param {Session} session
   */
  constructor(client, draw, session) {
    this._draw = draw;
    this.hours = 24;
    /** Whether the list has operations below others, too. */
    this.everyLevel = false;
    /** Whether the queues and workers of hammerwork itself are shown, too. */
    this.internal = false;
    /** The queue that the page is limited to; "" for all. */
    this.queue = "";
    /** @param {SpawnError | null} error */
    const told = (error) => {
      if (error?.status === 401) session.fail(error);
      draw();
    };
    const scope = () => this.queue || null;
    // A queue may have operations on one level only.
    const chosen = () => ({ queue: scope(), topmost: !this.everyLevel && !this.queue });
    /** @param {SpawnOperation} operation */
    const key = (operation) => operation.parent_id;
    this.operations = new Growing((limit, cursor) => client.getSpawnOperations(limit, { cursor, ...chosen() }), key, told);
    this.failing = new Growing(
      (limit, cursor) => client.getSpawnOperations(limit, { cursor, failed: true, ...chosen() }),
      key,
      told,
    );
    this.stats = new Part(() => client.getSpawnStats(scope(), this.hours, { detailed: true }), told);
    this.queues = new Part(() => client.getQueues(), told);
    this.failures = new Part(() => client.getFailedJobs(LATEST_FAILURES, { queue: scope() }), told);
    this.workers = new Part(() => client.getWorkers(), told);
    this.health = new Part(() => client.getHealth(), told);
  }

  get _figures() {
    return [this.health, this.failing, this.queues, this.failures, this.workers, this.stats];
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

  /** Reads what no event tells: a worker that has fallen silent, and the verdict. */
  watch() {
    for (const part of [this.health, this.workers]) part.read(false);
  }

  /**
   * Limits the lists to a queue or to the tops of trees.
   * @param {{queue?: string, everyLevel?: boolean}} filter
   */
  async filter({ queue = this.queue, everyLevel = this.everyLevel }) {
    this.queue = queue;
    this.everyLevel = everyLevel;
    for (const part of [this.operations, this.failing, this.stats, this.failures]) part.forget();
    this._draw();
    await this.read();
  }

  /** Shows the queues and workers of hammerwork itself, or hides them. */
  toggleInternal() {
    this.internal = !this.internal;
    this._draw();
  }

  /**
   * Chooses the time window of the statistics.
   * @param {number} hours
   */
  async chooseHours(hours) {
    this.hours = hours;
    this.stats.forget();
    this._draw();
    await this.stats.read();
  }
}
