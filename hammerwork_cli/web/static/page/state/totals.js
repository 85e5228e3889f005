// The counts of whole trees that are too large for the list: read one at a time, at a pace that spares the server.

import { SpawnError } from "../../client.js";
import { pauseAfter } from "./pace.js";

/** @import { SpawnManager, TreeCounts } from "../../client.js" */

/** After this, a tree is counted again. */
const FRESH_MS = 30000;
const MOST_TREES = 20;
const MOST_KNOWN = 200;

export class Totals {
  /**
   * @param {SpawnManager} client
   * @param {() => void} draw
   */
  constructor(client, draw) {
    this._client = client;
    this._draw = draw;
    /** @type {Map<string, {counts: TreeCounts | null, at: number}>} */
    this._known = new Map();
    /** @type {string[]} */
    this._wanted = [];
    this._next = 0;
    this._isAsking = false;
  }

  /**
   * The counts of all jobs below a job, if they were read; those of a part of them otherwise.
   * @param {string} id
   */
  of(id) {
    return this._known.get(id)?.counts ?? null;
  }

  /**
   * @param {string} id
   * @param {TreeCounts | null} counts
   */
  learn(id, counts) {
    if (counts) this._known.set(id, { counts, at: Date.now() });
  }

  /**
   * Reads the counts of trees, if they are not fresh, one after another.
   * @param {string[]} ids the first ones first
   */
  async want(ids) {
    this._wanted = ids.slice(0, MOST_TREES);
    if (this._known.size > MOST_KNOWN) this._known.clear();
    const age = (/** @type {string} */ id) => Date.now() - (this._known.get(id)?.at ?? 0);
    const id = this._wanted.find((one) => age(one) > FRESH_MS);
    if (id === undefined || this._isAsking || Date.now() < this._next) return;
    const started = Date.now();
    this._isAsking = true;
    try {
      this.learn(id, await this._client.getTreeCounts(id));
    } catch (error) {
      if (!(error instanceof SpawnError)) throw error;
      this._known.set(id, { counts: this.of(id), at: Date.now() }); // the others first
    } finally {
      this._isAsking = false;
      this._next = Date.now() + pauseAfter(Date.now() - started);
    }
    this._draw();
  }
}
