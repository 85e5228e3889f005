// Sums up a burst of events.

/** @import { JobId, SpawnEvent } from "../client.js" */

/**
 * @typedef {object} NewsItem
 * @property {Set<JobId> | null} parents the jobs whose children changed; `null` for all jobs
 * @property {boolean} figures whether the figures must be read at once
 */

export class News {
  constructor() {
    this._everything = false;
    this._figures = false;
    /** @type {Set<JobId>} */
    this._parents = new Set();
  }

  /** @param {Pick<SpawnEvent, "type" | "data">} event */
  add(event) {
    const { type, data } = /** @type {SpawnEvent} */ (event);
    if (type === "jobs") data.jobs.forEach((job) => job.depends_on.forEach((parent) => this._parents.add(parent)));
    else this._everything = true;
    if (type === "queues" || type === "database") this._figures = true;
  }

  addEverything() {
    this._everything = true;
  }

  /**
   * The sum of the events since the last call.
   * @returns {NewsItem}
   */
  take() {
    const news = { parents: this._everything ? null : this._parents, figures: this._figures };
    this._everything = false;
    this._figures = false;
    this._parents = new Set();
    return news;
  }
}
