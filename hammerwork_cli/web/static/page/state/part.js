// A part of the page that is read from the server by itself: the latest answer, when it came, why no later one came.

import { SpawnError } from "../../client.js";
import { pauseAfter } from "./pace.js";

/** @template Value */
export class Part {
  /** @type {Value | null} the latest answer */
  value = null;
  /** @type {number | null} when it came */
  at = null;
  /** @type {SpawnError | null} the failure since then */
  error = null;

  /**
   * @param {() => Promise<Value>} ask
   * @param {(error: SpawnError | null) => void} told called after each answer, with the failure if it is one
   */
  constructor(ask, told) {
    this._ask = ask;
    this._told = told;
    this._question = 0;
    this._next = 0;
    this._again = false;
    /** @type {Promise<void> | null} */
    this._asking = null;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this._due = undefined;
  }

  /** Forgets the answer, and the one that is on its way: the question has changed. */
  forget() {
    clearTimeout(this._due);
    this._due = undefined;
    this._question += 1;
    this._asking = null;
    this._again = false;
    this.value = null;
    this.at = null;
    this.error = null;
  }

  /** Reads now; or, unless `now`, after a pause that spares the server when the latest answer took it long. */
  async read(now = true) {
    const wait = this._next - Date.now();
    if (now || (wait <= 0 && !this._asking)) await this._read();
    else if (this._asking) this._again = true;
    else this._due ??= setTimeout(() => this._read(), wait);
  }

  /**
   * The seconds since the answer came, by which the ages in it have grown.
   * @param {number} now
   */
  secondsSince(now) {
    return this.at === null ? 0 : Math.max(0, (now - this.at) / 1000);
  }

  async _read() {
    clearTimeout(this._due);
    this._due = undefined;
    this._again = false;
    this._question += 1;
    this._asking = this._answer(this._question);
    await this._asking;
  }

  /** @param {number} question */
  async _answer(question) {
    const started = Date.now();
    /** @type {Value | null} */
    let value = null;
    /** @type {SpawnError | null} */
    let failure = null;
    try {
      value = await this._ask();
    } catch (error) {
      if (!(error instanceof SpawnError)) {
        // A defect: it is reported, and the next reading asks again.
        if (question === this._question) this._asking = null;
        throw error;
      }
      failure = error;
    }
    if (question !== this._question) return;
    this._asking = null;
    this._next = Date.now() + pauseAfter(Date.now() - started);
    this.error = failure;
    if (!failure) {
      this.value = value;
      this.at = Date.now();
    }
    this._told(failure);
    if (this._again) this.read(false);
  }
}
