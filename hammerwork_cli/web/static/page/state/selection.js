// The selected job: its tree, the active row of the tree, and the job that is shown beside it.

import { SpawnError } from "../../client.js";
import { Tree } from "../tree/tree.js";
import { Part } from "./part.js";

/** @import { Job, JobNode, SpawnManager, TreeCounts } from "../../client.js" */
/** @import { TreeJob } from "../tree/items.js" */
/** @import { Row } from "../tree/rows.js" */
/** @import { Session } from "./session.js" */
/** @import { Totals } from "./totals.js" */

const MAX_ANCESTORS = 12;
const ERROR_CHARACTERS = 500;
/** Walking along the rows does not read each job. */
const WALKING_MS = 120;

export class Selection {
  /**
   * @param {SpawnManager} client
   * @param {() => void} draw
   * @param {Session} session
   * @param {Totals} totals of the trees in the list
   */
  constructor(client, draw, session, totals) {
    this._client = client;
    this._draw = draw;
    this._session = session;
    /** @type {string | null} the root of the tree; `null` on the overview */
    this.id = null;
    /** @type {Part<TreeCounts>} all jobs below the root */
    this.totals = new Part(() => client.getTreeCounts(this.id ?? ""), () => {
      if (this.id) totals.learn(this.id, this.totals.value);
      draw();
    });
    this._clear();
  }

  _clear() {
    this.totals.forget();
    /** @type {(JobNode & {distance: number})[]} */
    this.ancestors = [];
    /** @type {Tree | null} */
    this.tree = null;
    /** @type {{key: string, id: string, at: number} | null} the row's key, its id in the document, its index */
    this.active = null;
    /** @type {Job | null} the job of the active row */
    this.job = null;
    /** @type {string | null} the id of the job to show; an answer about another one comes too late */
    this._wanted = null;
    /** Whether the job of the active row was deleted. */
    this.deleted = false;
    /** @type {SpawnError | null} */
    this.notFound = null;
  }

  /**
   * Shows the tree below a job; `null` shows the overview.
   * @param {string | null} id
   */
  async select(id) {
    if (id === this.id) return;
    this.id = id;
    this._clear();
    this._draw();
    if (id !== null) await this._session.attempt(() => this._read(id));
  }

  /** Selects the same job again. */
  async reselect() {
    const { id } = this;
    this.id = null;
    await this.select(id);
  }

  /** @param {Set<string> | null} parents the jobs whose children changed; `null` for all */
  async refresh(parents) {
    if (this.tree) this.totals.read(false);
    await this.tree?.refresh(parents);
    if (this._wanted !== null) await this._readJob(this._wanted);
  }

  /** The row of the next failed job, on whatever level. */
  async nextFailure() {
    return this.tree?.nextFailure(this.active?.key);
  }

  /** @param {JobNode[]} jobs */
  learn(jobs) {
    this.tree?.learn(jobs);
  }

  /**
   * Activates a row of the tree and shows its job.
   * @param {Row} row
   * @param {string} id of the row in the document
   * @param {number} at the index of the row
   */
  async activate(row, id, at) {
    this.active = { key: row.key, id, at };
    this._draw();
    const job = row.kind === "job" ? row.item.job.id : null;
    if (job === null) return;
    this._wanted = job;
    if (job === this.job?.id) return;
    await new Promise((resolve) => {
      setTimeout(resolve, WALKING_MS);
    });
    if (this.active?.key === row.key) await this._session.attempt(() => this._readJob(job));
  }

  /** @param {string} id */
  async _read(id) {
    try {
      const [job, ancestors] = await Promise.all([
        this._client.getJob(id),
        this._client.getParents(id, { depth: MAX_ANCESTORS }),
      ]);
      if (this.id !== id) return;
      this.ancestors = ancestors;
      this.job = job;
      this._wanted = job.id;
      this.tree = new Tree(this._client, this._draw, inTree(job));
      this.active = { key: job.id, id: "row-0", at: 0 };
      this._draw();
      this.totals.read();
      await this.tree.start();
    } catch (error) {
      if (!isNotFound(error)) throw error;
      this.notFound = error;
    }
  }

  /** @param {string} id */
  async _readJob(id) {
    const job = await this._jobOrNull(id);
    if (this._wanted !== id) return;
    this.deleted = job === null;
    if (job === null) return;
    this.job = job;
    this.tree?.learn([{ ...inTree(job), error: job.error?.slice(0, ERROR_CHARACTERS) ?? null }]);
  }

  /** @param {string} id */
  async _jobOrNull(id) {
    try {
      return await this._client.getJob(id);
    } catch (error) {
      if (isNotFound(error)) return null;
      throw error;
    }
  }
}

/**
 * @param {unknown} error
 * @returns {error is SpawnError}
 */
const isNotFound = (error) => error instanceof SpawnError && error.status === 404;

/**
 * A job as a tree holds it.
 * @param {Job} job
 * @returns {TreeJob}
 */
function inTree(job) {
  const { total, completed, failed, running, pending, retrying, cancelled } = job.children;
  return { ...job, children: total, child_counts: { total, completed, failed, running, pending, retrying, cancelled } };
}
