// A list that is read in pages, as far as someone asks for older rows.

import { Part } from "./part.js";

/** @import { Page, SpawnError } from "../../client.js" */

const PAGE = 50;
/** The maximum number of rows that are read again. */
const FRESH = 200;

/**
 * @template Row
 * @extends {Part<Page<Row>>}
 */
export class Growing extends Part {
  /** @type {Page<Row> | null} */
  value = null;

  /**
   * @param {(limit: number, cursor: string | null) => Promise<Page<Row>>} page
   * @param {(row: Row) => string} key
   * @param {(error: SpawnError | null) => void} told
   */
  constructor(page, key, told) {
    super(async () => this._merged(await page(this._wanted, null)), told);
    this._page = page;
    this._key = key;
    /** Whether someone asked for older rows. */
    this._grown = false;
    /** Whether older rows are on their way. */
    this.isReadingMore = false;
  }

  forget() {
    super.forget();
    this._grown = false;
  }

  /** Reads the rows after the last one, unless that is under way. */
  async readMore() {
    const cursor = this.value?.cursor;
    if (!cursor || this.isReadingMore) return;
    this._grown = this.isReadingMore = true;
    this._told(null);
    try {
      this._add(await this._page(PAGE, cursor));
    } finally {
      this.isReadingMore = false;
      this._told(null);
    }
  }

  /** @param {Page<Row>} page */
  _add(page) {
    // A refresh may have read the list again in between; a filter has made it another list.
    if (!this.value || !this._grown) return;
    const known = new Set(this.value.map(this._key));
    const rows = [...this.value, ...page.filter((row) => !known.has(this._key(row)))];
    this.value = Object.assign(rows, { cursor: page.cursor, total: this.value.total, more: this.value.more });
  }

  get _wanted() {
    return this._grown ? Math.min(Math.max(this.value?.length ?? 0, PAGE), FRESH) : PAGE;
  }

  /**
   * The rows that were read again, followed by the older ones that are on the page.
   * @param {Page<Row>} fresh
   */
  _merged(fresh) {
    const { value } = this;
    if (!this._grown || !value || !fresh.length) return fresh;
    const last = this._key(fresh[fresh.length - 1]);
    const place = value.findIndex((row) => this._key(row) === last);
    const known = new Set(fresh.map(this._key));
    const older = place < 0 ? [] : value.slice(place + 1).filter((row) => !known.has(this._key(row)));
    const { cursor } = older.length ? value : fresh;
    return Object.assign([...fresh, ...older], { cursor, total: fresh.total, more: fresh.more });
  }
}
