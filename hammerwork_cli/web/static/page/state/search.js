// The search for a job by a prefix of its id.

import { SpawnError } from "../../client.js";

/** @import { SpawnManager } from "../../client.js" */
/** @import { Session } from "./session.js" */

export class Search {
  /**
   * @param {SpawnManager} client
   * @param {() => void} draw
   * @param {Session} session
   */
  constructor(client, draw, session) {
    this._client = client;
    this._draw = draw;
    this._session = session;
    /** @type {{message: string, candidates: string[]} | null} the outcome of a search that found no single job */
    this.outcome = null;
  }

  clear() {
    this.outcome = null;
    this._draw();
  }

  /**
   * The id of the job; `null` when there is not exactly one.
   * @param {string} prefix
   */
  async find(prefix) {
    this.outcome = null;
    try {
      return (await this._client.getJob(prefix)).id;
    } catch (error) {
      if (!(error instanceof SpawnError)) throw error;
      if (error.status === 401) this._session.fail(error);
      else this.outcome = outcomeOf(prefix, error);
      this._draw();
      return null;
    }
  }
}

/**
 * @param {string} prefix
 * @param {SpawnError} error
 */
export function outcomeOf(prefix, error) {
  const candidates = /** @type {string[]} */ (error.problem.candidates ?? []);
  return { message: candidates.length ? `Several job IDs begin with ${prefix}:` : error.detail, candidates };
}
