// Everything that the page knows, and how it comes to know it.

import { SpawnError } from "../client.js";
import { Tree } from "./tree.js";
import { count, counted } from "./words.js";

const OPERATIONS = 50;
const MOST_OPERATIONS = 200;
const MOST_CRUMBS = 12;
const LATEST_FAILURES = 8;
/** Figures that took long are counted again after so many times that long. */
const SHARE = 10;
/** Who walks on along the rows does not want each job. */
const WALKING_MS = 120;
const FIGURES_SOONEST_MS = 1000;
const FIGURES_LATEST_MS = 60000;

export class Board {
  /**
   * @param {import("../client.js").SpawnManager} client
   * @param {() => void} draw
   */
  constructor(client, draw) {
    this.client = client;
    this.draw = draw;
    this.hours = 24;
    this.queue = "";
    this.operations = null;
    this.cursor = null;
    this.stats = null;
    this.queues = null;
    this.failures = null;
    this.workers = null;
    this.selected = null;
    this.crumbs = [];
    this.tree = null;
    this.active = null;
    this.job = null;
    this.trouble = null;
    this.missing = null;
    this.gone = false;
    this.live = "connecting";
    this.readOnly = true;
    this.database = "";
    this.wantsToken = false;
    this.dialog = null;
    this.notice = null;
    this.found = null;
    this._figuresNext = 0;
    this._figuresDue = null;
  }

  // Reading.

  async start() {
    await this._attempt(async () => {
      const about = await this.client.getAbout();
      Object.assign(this, { readOnly: about.read_only, database: about.database });
      await this._readOverview();
    });
  }

  /**
   * Reads again what is shown. Figures, which are expensive to count, wait unless they are asked for.
   * @param {{parents?: Set<string> | null, figures?: boolean}} [what] of which jobs the children have changed
   */
  async refresh({ parents = null, figures = false } = {}) {
    await this._attempt(async () => {
      await this._readOverview(figures);
      await this.tree?.refresh(parents);
      if (this.job) await this._readJob(this.job.id);
    });
  }

  /** Takes over jobs as they are told. */
  hear(jobs) {
    this.tree?.learn(jobs);
  }

  async _readOverview(figures = true) {
    const wait = figures ? 0 : this._figuresNext - Date.now();
    // Each is drawn when it is there: figures may take longer.
    await Promise.all([this._readOperations(), wait > 0 ? this._readFiguresAfter(wait) : this._readFigures()]);
    this.trouble = null;
  }

  async _readOperations() {
    const limit = Math.min(Math.max(this.operations?.length ?? 0, OPERATIONS), MOST_OPERATIONS);
    const page = await this.client.getSpawnOperations(limit, { queue: this.queue || null });
    Object.assign(this, { operations: page, cursor: page.cursor });
    this.draw();
  }

  _readFiguresAfter(wait) {
    this._figuresDue ??= setTimeout(() => this._attempt(() => this._readFigures()), wait);
  }

  async _readFigures() {
    clearTimeout(this._figuresDue);
    this._figuresDue = null;
    const began = Date.now();
    const scope = this.queue || null;
    [this.stats, this.queues, this.failures, this.workers] = await Promise.all([
      this.client.getSpawnStats(scope, this.hours, { detailed: true }),
      this.client.getQueues(),
      this.client.getJobs(LATEST_FAILURES, { queue: scope, status: "Failed,Dead,TimedOut" }),
      this.client.getWorkers(),
    ]);
    const rest = Math.min(Math.max(SHARE * (Date.now() - began), FIGURES_SOONEST_MS), FIGURES_LATEST_MS);
    this._figuresNext = Date.now() + rest;
    this.draw();
  }

  async readMoreOperations() {
    await this._attempt(async () => {
      const page = await this.client.getSpawnOperations(OPERATIONS, { cursor: this.cursor, queue: this.queue || null });
      this.operations = [...this.operations, ...page];
      this.cursor = page.cursor;
    });
  }

  async show({ queue = this.queue, hours = this.hours }) {
    Object.assign(this, { queue, hours, operations: null });
    this.draw();
    await this._attempt(() => this._readOverview());
  }

  // The tree and the job.

  /** Plants the tree at a job; `null` shows the overview. */
  async select(id) {
    if (id === this.selected) return;
    Object.assign(this, { selected: id, tree: null, job: null, active: null, crumbs: [], missing: null, gone: false });
    this.draw();
    if (id !== null) await this._attempt(() => this._plant(id));
  }

  async _plant(id) {
    try {
      const [job, parents] = await Promise.all([
        this.client.getJob(id),
        this.client.getParents(id, { depth: MOST_CRUMBS }),
      ]);
      if (this.selected !== id) return;
      const tree = new Tree(this.client, this.draw);
      Object.assign(this, { crumbs: parents, job, tree, active: { key: job.id, id: "row-0", at: 0 } });
      const { first, ...counts } = job.children;
      await tree.plant({ ...job, children: counts.total, child_counts: counts });
    } catch (error) {
      if (error.status !== 404) throw error;
      this.missing = error;
    }
  }

  /** Moves to a row of the tree, which has an id and stands at a place, and shows its job beside it. */
  async activate(row, id, at) {
    this.active = { key: row.key, id, at };
    this.draw();
    const job = row.kind === "job" ? row.item.job.id : null;
    if (job === null || job === this.job?.id) return;
    await new Promise((resolve) => setTimeout(resolve, WALKING_MS));
    if (this.active?.key === row.key) await this._attempt(() => this._readJob(job));
  }

  async _readJob(id) {
    const { key } = this.active;
    const job = await this._jobOrNone(id);
    if (this.active?.key !== key) return;
    this.gone = job === null;
    if (this.gone) return;
    this.job = job;
    const { first, ...counts } = job.children;
    this.tree?.learn([{ ...job, error: job.error?.slice(0, 500) ?? null, children: counts.total, child_counts: counts }]);
  }

  async _jobOrNone(id) {
    try {
      return await this.client.getJob(id);
    } catch (error) {
      if (error.status === 404) return null;
      throw error;
    }
  }

  /** Finds a job by the beginning of its id: its full id, or `null` with what was found instead. */
  async find(prefix) {
    this.found = null;
    try {
      return (await this.client.getJob(prefix)).id;
    } catch (error) {
      if (error.status === 401) this._fail(error);
      else this.found = foundInstead(prefix, error);
      this.draw();
      return null;
    }
  }

  // Changing.

  /** Asks, and when a person agrees does it, says so, and reads again. */
  confirm({ title, text, yes, act, done, reason = false }) {
    this.dialog = { kind: "confirm", title, text, yes, act, done, reason };
    this.draw();
  }

  async carryOut({ act, done }, reason) {
    this.dialog = null;
    await this._attempt(async () => {
      await act(reason);
      this.say(done);
      await this.refresh({ figures: true });
    }, { say: true });
  }

  /** Says what would be changed below a job, and asks. */
  async confirmBelow(job, { title, yes, none, act }) {
    await this._attempt(async () => {
      const { changed, plan } = await act({ tree: true, dryRun: true });
      if (changed === 0) return this.say(none);
      const parts = plan.filter((part) => part.changes).map((part) => `${count(part.jobs)} ${part.status} in ${part.queue}`);
      const text = `${counted(changed, "job")}: ${parts.join(", ")}.`;
      return this.confirm({ title, text, yes, act: () => act({ tree: true }), done: `${yes}: ${counted(changed, "job")}.` });
    }, { say: true });
  }

  async copyMermaid(id) {
    await this._attempt(async () => {
      const text = await this.client.getSpawnTree(id, "mermaid", 10, { childrenOnly: true });
      await this.copy(text, "Copied as Mermaid.");
    }, { say: true });
  }

  async copy(text, done) {
    try {
      await navigator.clipboard.writeText(text);
      this.say(done);
    } catch {
      // Without a secure context, or leave to use it, there is no clipboard: then by hand.
      this.dialog = { kind: "copy", text };
      this.draw();
    }
  }

  say(text, kind = "done") {
    this.notice = { text, kind };
    clearTimeout(this._silence);
    this._silence = setTimeout(() => ((this.notice = null), this.draw()), kind === "done" ? 4000 : 10000);
    this.draw();
  }

  useToken(token) {
    this.client.token = token;
    this.wantsToken = false;
    this.draw();
  }

  async _attempt(act, { say = false } = {}) {
    try {
      await act();
    } catch (error) {
      if (!(error instanceof SpawnError)) throw error;
      this._fail(error, say);
    }
    this.draw();
  }

  _fail(error, say) {
    if (error.status === 401) this.wantsToken = true;
    else if (say) this.say(error.hint ? `${error.detail} ${error.hint}` : error.detail, "failed");
    else this.trouble = error;
  }
}

function foundInstead(prefix, error) {
  const candidates = error.problem?.candidates ?? [];
  return { message: candidates.length ? `Several jobs begin with ${prefix}:` : error.detail, candidates };
}
