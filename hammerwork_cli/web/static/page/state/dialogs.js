// The open dialog.

/**
 * A question before a change.
 * @typedef {object} Question
 * @property {string} title
 * @property {string} text
 * @property {string} yes the label of the button that confirms
 * @property {(reason?: string) => Promise<unknown>} act
 * @property {string} done the message afterwards
 * @property {boolean} [reason] whether to ask for a reason
 */

/** @typedef {{kind: "help"} | {kind: "copy", text: string} | {kind: "confirm", question: Question}} Dialog */

export class Dialogs {
  /** @param {() => void} draw */
  constructor(draw) {
    this._draw = draw;
    /** @type {Dialog | null} */
    this.shown = null;
  }

  /** @param {Dialog} dialog */
  show(dialog) {
    this.shown = dialog;
    this._draw();
  }

  close() {
    this.shown = null;
    this._draw();
  }
}
