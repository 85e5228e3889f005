// Reads a tree level by level, where someone opens it, one page at a time.

import { countsByKind } from "../counts.js";
import { FAILED } from "../statuses.js";
import { isFailure, listKey, newList, newPlace, openPlaces } from "./items.js";
import { hidesFailures, rowsOf } from "./rows.js";

/** @import { Page, SpawnManager, TreeNode } from "../../client.js" */
/** @import { Group, Item, List, Place, TreeJob } from "./items.js" */
/** @import { Row } from "./rows.js" */

const PAGE = 100;
/** The maximum number of children that are listed without grouping. */
const FAMILY = 25;
/** The number of jobs with failures below that open with the tree on a level, and the number of levels. */
const OPENED = 3;
const LEVELS = 5;
/** The maximum number of jobs in a list that are read again after a change. */
const FRESH = 300;

export class Tree {
  /**
   * @param {SpawnManager} client
   * @param {() => void} changed called whenever there is something new to draw
   * @param {TreeJob} job the root
   */
  constructor(client, changed, job) {
    this._client = client;
    this._changed = changed;
    /** @type {Map<string, Item>} */
    this._items = new Map();
    /** @type {Row[] | null} */
    this._rows = null;
    this.root = this._place(job, null);
  }

  /** Opens the root, and what is above failures until the first ones are in view. */
  async start() {
    await this.open(this.root);
    for (let level = 0; level < LEVELS && !this.rows.some(showsFailure); level += 1) {
      const hiding = this.rows.filter((row) => row.kind !== "more" && hidesFailures(row));
      if (!hiding.length) return;
      await Promise.all(hiding.slice(0, OPENED).map(({ item }) => this.open(item)));
    }
  }

  /**
   * The next failed job below a row, or else the first of the tree. It opens whatever is above it.
   * @param {string | undefined} key of the row
   * @returns {Promise<Row | undefined>}
   */
  async nextFailure(key) {
    const after = await this._failureAfter(this.rows.findIndex((row) => row.key === key));
    return after ?? (await this._failureAfter(-1));
  }

  /** @param {number} at */
  async _failureAfter(at) {
    for (;;) {
      const row = this.rows.slice(at + 1).find((one) => showsFailure(one) || hidesFailures(one));
      if (!row || showsFailure(row)) return row;
      await (row.kind === "more" ? this.readMore(row.item) : this.open(row.item));
    }
  }

  get rows() {
    this._rows ??= rowsOf(this.root);
    return this._rows;
  }

  /** @param {Item} item */
  async open(item) {
    item.open = true;
    this._touch();
    if (item.kind === "job") await this._readFamily(item);
    else if (item.jobs.length === 0) await this.readMore(item);
  }

  /** @param {Item} item */
  close(item) {
    item.open = false;
    this._touch();
  }

  /** @param {Item} item */
  toggle(item) {
    if (item.open) this.close(item);
    else this.open(item);
  }

  /**
   * Reads the next page of a list.
   * @param {List} list
   */
  async readMore(list) {
    if (list.wantsMore) return;
    list.wantsMore = true;
    await this._attempt(list, async () => this._append(list, await this._page(list, list.cursor)));
    list.wantsMore = false;
  }

  /**
   * Reads the open parts again.
   * @param {Set<string> | null} parents only where children of these jobs are counted or listed; `null` for everywhere
   */
  async refresh(parents = null) {
    for (const place of [...openPlaces(this.root)]) {
      if (parents !== null && !concerns(place, parents)) continue;
      await this._readFamily(place);
      for (const list of place.lists) {
        if (list.open && list.jobs.length) await this._readAgain(list);
      }
    }
  }

  /**
   * Updates the jobs that the tree shows.
   * @param {TreeJob[]} jobs
   */
  learn(jobs) {
    const known = new Map(jobs.map((job) => [job.id, job]));
    for (const item of this._items.values()) {
      const news = item.kind === "job" ? known.get(item.job.id) : undefined;
      if (item.kind === "job" && news) item.job = { ...item.job, ...news };
    }
    this._touch();
  }

  // Reading.

  /** @param {Place} place */
  async _readFamily(place) {
    await this._attempt(place, async () => {
      const groups = await this._client.getChildGroups(place.job.id);
      place.total = groups.reduce((sum, group) => sum + group.jobs, 0);
      const counts = countsByKind(groups.map((group) => [group.status, group.jobs]), place.total);
      place.job = { ...place.job, children: place.total, child_counts: counts };
      if (place.total <= FAMILY && !place.grouped) this._listAll(place, place.total);
      else this._group(place, groups);
    });
    await Promise.all(place.lists.filter((list) => list.open && !list.jobs.length).map((list) => this.readMore(list)));
  }

  /**
   * @param {Place} place
   * @param {number} total
   */
  _listAll(place, total) {
    if (!place.lists.length) {
      place.lists = [this._list(place, { queue: null, status: null, jobs: total, failed_below: 0, more_failed_below: false })];
      place.lists[0].open = true;
    }
    place.lists[0].total = total;
  }

  /**
   * @param {Place} place
   * @param {Group[]} groups
   */
  _group(place, groups) {
    if (!place.grouped) place.lists = [];
    place.grouped = true;
    const known = new Map(place.lists.map((list) => [list.key, list]));
    place.lists = groups.map((group) => {
      const list = known.get(listKey(place, group)) ?? this._list(place, group);
      list.total = group.jobs;
      list.failedBelow = group.failed_below;
      list.moreFailedBelow = group.more_failed_below;
      return list;
    });
  }

  /** @param {List} list */
  async _readAgain(list) {
    await this._attempt(list, async () => {
      const wanted = Math.min(list.jobs.length, FRESH);
      const known = new Map(list.jobs.map((place) => [place.job.id, place]));
      /** @type {TreeNode[]} */
      const jobs = [];
      /** @type {string | null} */
      let cursor = null;
      do {
        const page = await this._page(list, cursor);
        jobs.push(...page);
        cursor = page.cursor;
      } while (cursor && jobs.length < wanted);
      const rest = list.jobs.length > jobs.length && cursor ? list.jobs.slice(jobs.length) : [];
      const fresh = new Set(jobs.map((job) => job.id));
      const kept = rest.filter((place) => !fresh.has(place.job.id));
      list.cursor = kept.length ? list.cursor : cursor;
      list.jobs = [...jobs.map((job) => this._renewed(known.get(job.id), job, list)), ...kept];
    });
  }

  /**
   * @param {Place | undefined} place
   * @param {TreeNode} job
   * @param {List} list
   */
  _renewed(place, job, list) {
    if (!place) return this._place(job, list);
    place.job = job;
    place.total = job.children ?? place.total;
    return place;
  }

  /**
   * @param {List} list
   * @param {string | null} cursor
   */
  async _page(list, cursor) {
    const { queue, status } = list;
    const failedBelow = status === null || FAILED.has(status) ? undefined : list.failedBelow > 0;
    return this._client.getChildren(list.place.job.id, { queue, status, failedBelow, limit: PAGE, cursor });
  }

  /**
   * @param {List} list
   * @param {Page<TreeNode>} page
   */
  _append(list, page) {
    const known = new Set(list.jobs.map((place) => place.job.id));
    for (const job of page) {
      if (!known.has(job.id)) list.jobs.push(this._place(job, list));
    }
    list.cursor = page.cursor;
  }

  /**
   * Reads for an item, after its earlier requests.
   * @param {Item} item
   * @param {() => Promise<void>} read
   */
  async _attempt(item, read) {
    const before = item.work;
    item.work = this._read(item, read, before);
    await item.work;
  }

  /**
   * @param {Item} item
   * @param {() => Promise<void>} read
   * @param {Promise<void> | null} before
   */
  async _read(item, read, before) {
    await before;
    item.reading = true;
    this._touch();
    try {
      await read();
      item.error = null;
    } catch (error) {
      item.error = error;
    } finally {
      item.reading = false;
      this._touch();
    }
  }

  // Items.

  /**
   * @param {TreeJob} job
   * @param {List | null} list
   */
  _place(job, list) {
    const place = newPlace(job, list, this._items.size);
    this._items.set(place.key, place);
    return place;
  }

  /**
   * @param {Place} place
   * @param {Group} group
   */
  _list(place, group) {
    const list = newList(place, group, this._items.size);
    this._items.set(list.key, list);
    return list;
  }

  _touch() {
    this._rows = null;
    this._changed();
  }
}

/** @param {Row} row */
const showsFailure = ({ kind, item }) => kind === "job" && isFailure(item.job);

/**
 * @param {Place} place
 * @param {Set<string>} parents
 */
function concerns(place, parents) {
  /** @param {List} list */
  const isListed = (list) => list.open && list.jobs.some((child) => parents.has(child.job.id));
  return parents.has(place.job.id) || place.lists.some(isListed);
}
