// The state of the page, one part per subject.

import { countsOf } from "../counts.js";
import { Changes } from "./changes.js";
import { Dialogs } from "./dialogs.js";
import { Overview } from "./overview.js";
import { Search } from "./search.js";
import { Selection } from "./selection.js";
import { Session } from "./session.js";
import { Toast } from "./toast.js";
import { Totals } from "./totals.js";

/** @import { SpawnManager, SpawnOperation } from "../../client.js" */
/** @import { NewsItem } from "../news.js" */
/** @import { Growing } from "./growing.js" */

export class Board {
  /**
   * @param {SpawnManager} client
   * @param {() => void} draw
   * @param {(token: string) => void} signedIn called with a token that the server accepts
   */
  constructor(client, draw, signedIn) {
    this.client = client;
    this.draw = draw;
    this._signedIn = signedIn;
    this.toast = new Toast(draw);
    this.dialogs = new Dialogs(draw);
    this.session = new Session(client, draw, this.toast);
    this.overview = new Overview(client, draw, this.session);
    this.totals = new Totals(client, draw);
    this.selection = new Selection(client, draw, this.session, this.totals);
    this.search = new Search(client, draw, this.session);
    this.changes = new Changes(client, this, () => this.refresh({ figures: true }));
  }

  /** Reads the settings of the server, and then everything, which it does not wait for. */
  async start() {
    await this.session.attempt(() => this.session.readAbout());
    if (!this.session.wantsToken) this.overview.read();
  }

  /**
   * Reads again everything that the page shows.
   * @param {Partial<NewsItem>} [news]
   */
  async refresh({ parents = null, figures = false } = {}) {
    await this.session.attempt(async () => {
      await Promise.all([this.session.readAbout(), this.overview.read(figures), this.selection.refresh(parents)]);
      this.session.error = null;
    });
    this.countTrees();
  }

  /** Counts the trees of the list that are too large for it. */
  countTrees() {
    const { failing, operations } = this.overview;
    const listed = [...(failing.value ?? []), ...(operations.value ?? [])];
    const large = new Set(listed.flatMap((one) => (countsOf(one).more ? [one.parent_id] : [])));
    this.totals.want([...large]);
  }

  /** @param {Growing<SpawnOperation>} list */
  async readMore(list) {
    await this.session.attempt(() => list.readMore(), { toast: true });
  }

  /** @param {string} token */
  async signIn(token) {
    this.session.useToken(token);
    await this.start();
    this.session.tokenRefused = this.session.wantsToken;
    if (this.session.wantsToken) {
      this.draw();
      return;
    }
    this._signedIn(token);
    await this.selection.reselect();
  }
}
