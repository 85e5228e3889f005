// Follows changes over the event stream, and polls while the stream does not get through.

import { News } from "./news.js";
import { follow } from "./stream.js";

/** @import { SpawnError, SpawnEvent, SpawnManager } from "../client.js" */
/** @import { NewsItem } from "./news.js" */
/** @typedef {"connecting" | "live" | "polling" | "lost" | "unreachable" | "stale"} LiveState */
/** @typedef {ReturnType<typeof setTimeout>} Timer */

const POLL_MS = 5000;
/** Dead workers and deleted jobs cause no event. */
const REREAD_MS = 12000;
/** A proxy may hold the stream back without closing it. */
const SILENT_MS = 4000;
/** Events in a burst cause one refresh. */
const GATHER_MS = 400;

/**
 * The state to show: the stream may be open while reading fails.
 * @param {LiveState} state of the stream
 * @param {SpawnError | null} error of the latest reading
 * @returns {LiveState}
 */
export function stateOf(state, error) {
  if (!error || state === "lost" || state === "unreachable") return state;
  if (error.status === 0) return "lost";
  return error.status === 503 ? "unreachable" : "stale";
}

export class Live {
  /**
   * @param {SpawnManager} client
   * @param {{
   *   event: (event: SpawnEvent) => void,
   *   changed: (news: NewsItem) => Promise<void>,
   *   state: (state: LiveState) => void,
   * }} listeners `event` receives each event at once, `changed` a burst of them together
   */
  constructor(client, listeners) {
    this._client = client;
    this._listeners = listeners;
    this._state = listeners.state;
    this._news = new News();
    this._busy = false;
    this._again = false;
    /** @type {Timer | undefined} */
    this._gathering = undefined;
    /** @type {Timer | undefined} */
    this._polling = undefined;
    /** @type {Timer | undefined} */
    this._rereading = undefined;
    /** @type {Timer | undefined} */
    this._silent = undefined;
    /** @type {(() => void) | undefined} */
    this._unsubscribe = undefined;
  }

  start() {
    this.stop();
    this._rereading = setInterval(() => this._poll(), REREAD_MS);
    this._silent = setTimeout(() => this._lose({ status: -1 }), SILENT_MS);
    this._unsubscribe = follow(
      this._client,
      (event) => this._receive(event),
      (state) => (state === "open" ? this._connect() : this._lose(state)),
    );
  }

  stop() {
    this._unsubscribe?.();
    clearTimeout(this._silent);
    clearTimeout(this._gathering);
    clearInterval(this._polling);
    clearInterval(this._rereading);
    this._gathering = undefined;
    this._polling = undefined;
  }

  _connect() {
    clearTimeout(this._silent);
    clearInterval(this._polling);
    this._polling = undefined;
    this._state("live");
  }

  /** @param {{status: number}} error */
  _lose(error) {
    clearTimeout(this._silent);
    this._state(error.status === 0 ? "lost" : "polling");
    if (error.status !== 401) this._polling ??= setInterval(() => this._poll(), POLL_MS);
  }

  /** @param {SpawnEvent} event */
  _receive(event) {
    if (event.type === "database" || event.type === "ready") this._state(event.data.reachable ? "live" : "unreachable");
    this._listeners.event(event);
    this._news.add(event);
    this._gather();
  }

  _gather() {
    this._gathering ??= setTimeout(() => {
      this._gathering = undefined;
      this._refresh();
    }, GATHER_MS);
  }

  _poll() {
    this._news.addEverything();
    this._refresh();
  }

  async _refresh() {
    if (document.hidden) return;
    if (this._busy) {
      this._again = true;
      return;
    }
    this._busy = true;
    await this._listeners.changed(this._news.take());
    this._busy = false;
    if (this._again) {
      this._again = false;
      this._gather();
    }
  }
}
