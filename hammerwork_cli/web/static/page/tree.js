// What is known of a tree: it is read level by level, where a person opens it, a page at a time.
//
// A *place* is where a job stands in the tree; a job with two parents stands in two places. Below a place are its
// *lists* of children: one for a small family, one for each queue and status for a large one.

import { URGENCY, kindOf } from "./words.js";

const PAGE = 100;
/** The most children that are listed without grouping. */
const FAMILY = 25;
/** Groups with at most this many jobs open by themselves when something in them matters. */
const URGENT = 25;
/** Children with failures below that are opened with the tree. */
const OPENED = 3;
/** The most jobs of a list that are read again when something changed. */
const FRESH = 300;

export class Tree {
  /**
   * @param {import("../client.js").SpawnManager} client
   * @param {() => void} changed called when there is something new to draw
   */
  constructor(client, changed) {
    this._client = client;
    this._changed = changed;
    this._items = new Map();
    this._rows = null;
    this.root = null;
  }

  /** Begins at a job; its children are read at once. */
  async plant(job) {
    this.root = this._place(job, null, job.id);
    this._touch();
    await this.open(this.root);
    await this._openFailures();
  }

  /** What failed is seen at once, where it is no crowd. */
  async _openFailures() {
    if (this.root.grouped) return;
    const children = this.root.lists.flatMap((list) => list.jobs);
    const ailing = children.filter(({ job }) => job.child_counts?.failed && job.children <= FAMILY);
    await Promise.all(ailing.slice(0, OPENED).map((place) => this.open(place)));
  }

  /** What there is to draw, from top to bottom: `{kind: "job" | "group" | "more" | "note", item, level, ...}`. */
  get rows() {
    if (this._rows === null) {
      this._rows = [];
      if (this.root) this._addPlace(this.root, 1, 1, 1);
    }
    return this._rows;
  }

  item(key) {
    return this._items.get(key);
  }

  async open(item) {
    item.open = true;
    this._touch();
    if (item.kind === "job") await this._readFamily(item);
    else if (item.jobs.length === 0) await this.readMore(item);
  }

  close(item) {
    item.open = false;
    this._touch();
  }

  /** Reads the next page of a list. */
  async readMore(list) {
    if (list.wantsMore) return;
    list.wantsMore = true;
    await this._attempt(list, async () => this._append(list, await this._page(list, list.cursor)));
    list.wantsMore = false;
  }

  /**
   * Reads again what is open.
   * @param {Set<string> | null} parents only where children of these are counted or listed; `null` for everywhere
   */
  async refresh(parents = null) {
    for (const place of [...this._openPlaces()]) {
      if (parents !== null && !this._concerns(place, parents)) continue;
      await this._readFamily(place);
      for (const list of place.lists) {
        if (list.open && list.jobs.length) await this._readAgain(list);
      }
    }
  }

  _concerns(place, parents) {
    const isListed = (list) => list.open && list.jobs.some((child) => parents.has(child.job.id));
    return parents.has(place.job.id) || place.lists.some(isListed);
  }

  /** Takes over what is known of jobs by now. */
  learn(jobs) {
    const known = new Map(jobs.map((job) => [job.id, job]));
    for (const item of this._items.values()) {
      const news = item.kind === "job" ? known.get(item.job.id) : undefined;
      if (news) item.job = { ...item.job, ...news };
    }
    this._touch();
  }

  // Reading.

  async _readFamily(place) {
    await this._attempt(place, async () => {
      const groups = await this._client.getChildGroups(place.job.id);
      place.total = groups.reduce((sum, group) => sum + group.jobs, 0);
      place.job = { ...place.job, children: place.total, child_counts: counted(groups, place.total) };
      if (place.total <= FAMILY && !place.grouped) this._listAll(place);
      else this._group(place, groups);
    });
    await Promise.all(place.lists.filter((list) => list.open && !list.jobs.length).map((list) => this.readMore(list)));
  }

  _listAll(place) {
    if (!place.lists.length) {
      place.lists = [this._list(place, { queue: null, status: null, jobs: place.total })];
      place.lists[0].open = true;
    }
    place.lists[0].total = place.total;
  }

  _group(place, groups) {
    if (!place.grouped) place.lists = [];
    place.grouped = true;
    const known = new Map(place.lists.map((list) => [list.key, list]));
    place.lists = groups.map((group) => {
      const list = known.get(listKey(place, group)) ?? this._list(place, group);
      list.total = group.jobs;
      return list;
    });
    place.lists.sort((one, other) => urgency(one) - urgency(other) || other.total - one.total);
  }

  async _readAgain(list) {
    await this._attempt(list, async () => {
      const wanted = Math.min(list.jobs.length, FRESH);
      const known = new Map(list.jobs.map((place) => [place.job.id, place]));
      const jobs = [];
      let page = { cursor: null };
      do {
        page = await this._page(list, page.cursor);
        jobs.push(...page);
      } while (page.cursor && jobs.length < wanted);
      list.jobs = list.jobs.length > jobs.length && page.cursor ? list.jobs.slice(jobs.length) : [];
      const fresh = new Set(jobs.map((job) => job.id));
      const kept = list.jobs.filter((place) => !fresh.has(place.job.id));
      list.cursor = kept.length ? list.cursor : page.cursor;
      list.jobs = [...jobs.map((job) => this._renewed(known.get(job.id), job, list)), ...kept];
    });
  }

  _renewed(place, job, list) {
    if (!place) return this._place(job, list, `${list.key}/${job.id}`);
    place.job = job;
    place.total = job.children ?? place.total;
    return place;
  }

  async _page(list, cursor) {
    const { queue, status } = list;
    return this._client.getChildren(list.place.job.id, { queue, status, limit: PAGE, cursor });
  }

  _append(list, page) {
    const known = new Set(list.jobs.map((place) => place.job.id));
    for (const job of page) {
      if (!known.has(job.id)) list.jobs.push(this._place(job, list, `${list.key}/${job.id}`));
    }
    list.cursor = page.cursor;
  }

  /** Reads for an item, after what is being read for it already. */
  async _attempt(item, read) {
    const before = item.work;
    item.work = this._read(item, read, before);
    await item.work;
  }

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

  _place(job, list, key) {
    const above = list ? ancestry(list) : [];
    const place = { kind: "job", key, job, list, lists: [], total: job.children ?? null, grouped: false };
    Object.assign(place, { number: this._items.size, open: false, reading: false, work: null, error: null, again: above.includes(job.id) });
    this._items.set(key, place);
    return place;
  }

  _list(place, { queue, status, jobs }) {
    const list = { kind: "group", key: listKey(place, { queue, status }), place, queue, status, total: jobs, jobs: [] };
    Object.assign(list, { number: this._items.size, cursor: null, wantsMore: false, reading: false, work: null, error: null });
    list.open = urgency(list) <= URGENCY.running && jobs <= URGENT;
    this._items.set(list.key, list);
    return list;
  }

  *_openPlaces() {
    const waiting = this.root ? [this.root] : [];
    while (waiting.length) {
      const place = waiting.shift();
      if (!place.open) continue;
      yield place;
      for (const list of place.lists) {
        if (list.open) waiting.push(...list.jobs.filter((child) => child.open));
      }
    }
  }

  // Rows.

  _addPlace(place, level, position, size) {
    this._rows.push({ kind: "job", key: place.key, item: place, level, position, size });
    if (!place.open) return;
    if (place.grouped) this._addGroups(place, level + 1);
    else for (const list of place.lists) this._addJobs(list, level + 1);
    if (place.error) this._addNote(place, level + 1);
  }

  _addGroups(place, level) {
    place.lists.forEach((list, index) => {
      const position = { level, position: index + 1, size: place.lists.length };
      this._rows.push({ kind: "group", key: list.key, item: list, ...position });
      if (list.open) this._addJobs(list, level + 1);
    });
  }

  _addJobs(list, level) {
    const jobs = list.status === null ? list.jobs.toSorted(byUrgency) : list.jobs;
    jobs.forEach((place, index) => this._addPlace(place, level, index + 1, list.total));
    if (list.error) this._addNote(list, level);
    else if (list.cursor) this._rows.push(this._below(list, "more", level));
  }

  _addNote(item, level) {
    this._rows.push(this._below(item, "note", level));
  }

  _below(item, kind, level) {
    return { kind, key: `${item.key}#${kind}`, item, level, position: 1, size: 1 };
  }

  _touch() {
    this._rows = null;
    this._changed();
  }
}

/** Whether there is, or may be, something below an item. */
export function opens(item) {
  if (item.kind === "group") return true;
  return !item.again && item.total !== 0;
}

/** Failures first, then those with failures below, then the oldest: rows that are well do not jump about. */
function byUrgency({ job: one }, { job: other }) {
  const difference = urgencyOf(one) - urgencyOf(other);
  return difference || compare(one.created_at, other.created_at) || compare(one.id, other.id);
}

function urgencyOf({ status, child_counts: counts }) {
  if (kindOf(status) === "failed") return 0;
  return counts?.failed ? 1 : 2;
}

const compare = (one, other) => (one < other ? -1 : Number(one > other));

function counted(groups, total) {
  const counts = { total, completed: 0, failed: 0, running: 0, pending: 0 };
  for (const { status, jobs } of groups) {
    if (kindOf(status) in counts) counts[kindOf(status)] += jobs;
  }
  return counts;
}

const urgency = (list) => (list.status === null ? URGENCY.completed : URGENCY[kindOf(list.status)]);

const listKey = (place, { queue, status }) =>
  `${place.key}/${queue === null ? "*" : JSON.stringify([queue, status])}`;

function ancestry(list) {
  const ids = [];
  for (let place = list.place; place; place = place.list?.place) ids.push(place.job.id);
  return ids;
}
