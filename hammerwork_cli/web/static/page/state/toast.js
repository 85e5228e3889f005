// A short message at the edge of the page, which disappears by itself.

const DONE_MS = 4000;
const FAILED_MS = 10000;

export class Toast {
  /** @param {() => void} draw */
  constructor(draw) {
    this._draw = draw;
    /** @type {{text: string, kind: "done" | "failed"} | null} */
    this.message = null;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this._timer = undefined;
  }

  /**
   * @param {string} text
   * @param {"done" | "failed"} [kind]
   */
  show(text, kind = "done") {
    this.message = { text, kind };
    clearTimeout(this._timer);
    this._timer = setTimeout(() => this._hide(), kind === "done" ? DONE_MS : FAILED_MS);
    this._draw();
  }

  _hide() {
    this.message = null;
    this._draw();
  }
}
