// The connection to the server: its settings, the token, and the failure of the latest request.

import { SpawnError } from "../../client.js";

/** @import { SpawnManager } from "../../client.js" */
/** @import { LiveState } from "../live.js" */
/** @import { Toast } from "./toast.js" */

export class Session {
  /**
   * @param {SpawnManager} client
   * @param {() => void} draw
   * @param {Toast} toast
   */
  constructor(client, draw, toast) {
    this._client = client;
    this._draw = draw;
    this._toast = toast;
    this.database = "";
    this.readOnly = true;
    /** @type {LiveState} */
    this.live = "connecting";
    /** @type {SpawnError | null} */
    this.error = null;
    this.wantsToken = false;
    this.tokenRefused = false;
  }

  /** Reads the settings of the server, unless they are known. */
  async readAbout() {
    if (this.database) return;
    const about = await this._client.getAbout();
    this.readOnly = about.read_only;
    this.database = about.database;
  }

  /** @param {LiveState} state */
  setLive(state) {
    this.live = state;
    this._draw();
  }

  /** @param {string} token */
  useToken(token) {
    this._client.token = token;
    this.wantsToken = false;
    this._draw();
  }

  /**
   * Runs requests and shows their failure: as a toast after a click, else above the page.
   * @param {() => Promise<unknown>} act
   * @param {{toast?: boolean}} [options]
   */
  async attempt(act, { toast = false } = {}) {
    try {
      await act();
    } catch (error) {
      if (!(error instanceof SpawnError)) throw error;
      this.fail(error, toast);
    }
    this._draw();
  }

  /**
   * @param {SpawnError} error
   * @param {boolean} toast
   */
  fail(error, toast = false) {
    if (error.status === 401) this.wantsToken = true;
    else if (toast) this._toast.show(error.hint ? `${error.detail} ${error.hint}` : error.detail, "failed");
    else this.error = error;
  }
}
