// Changes that someone confirms first, and copies to the clipboard.

import { count, counted } from "../words.js";

/** @import { Outcome, SpawnManager } from "../../client.js" */
/** @import { Dialogs, Question } from "./dialogs.js" */
/** @import { Session } from "./session.js" */
/** @import { Toast } from "./toast.js" */

/**
 * A change of all descendants of a job.
 * @typedef {object} TreeChange
 * @property {string} title
 * @property {string} yes the label of the button that confirms
 * @property {string} done "Retried"
 * @property {string} none the message when the plan is empty
 * @property {(how: {tree: true, dryRun?: boolean}) => Promise<Outcome>} act
 */

export class Changes {
  /**
   * @param {SpawnManager} client
   * @param {{session: Session, dialogs: Dialogs, toast: Toast}} parts
   * @param {() => Promise<void>} refresh
   */
  constructor(client, { session, dialogs, toast }, refresh) {
    this._client = client;
    this._session = session;
    this._dialogs = dialogs;
    this._toast = toast;
    this._refresh = refresh;
  }

  /** @param {Question} question */
  confirm(question) {
    this._dialogs.show({ kind: "confirm", question });
  }

  /**
   * Makes a confirmed change.
   * @param {Question} question
   * @param {string} [reason]
   */
  async apply({ act, done }, reason) {
    this._dialogs.close();
    await this._session.attempt(
      async () => {
        await act(reason);
        this._toast.show(done);
        await this._refresh();
      },
      { toast: true },
    );
  }

  /**
   * Shows the plan of a change and asks for confirmation.
   * @param {TreeChange} change
   */
  async confirmPlan({ title, yes, done, none, act }) {
    await this._session.attempt(
      async () => {
        const outcome = await act({ tree: true, dryRun: true });
        if (outcome.changed === 0) return this._toast.show(none);
        const question = { title, text: planInWords(outcome), yes, done: `${done} ${counted(outcome.changed, "job")}.` };
        return this.confirm({ ...question, act: () => act({ tree: true }) });
      },
      { toast: true },
    );
  }

  /** @param {string} id */
  async copyMermaid(id) {
    await this._session.attempt(
      async () => {
        const text = await this._client.getSpawnTree(id, "mermaid", 10, { childrenOnly: true });
        await this.copy(text, "Copied as Mermaid.");
      },
      { toast: true },
    );
  }

  /**
   * @param {string} text
   * @param {string} done
   */
  async copy(text, done) {
    try {
      await navigator.clipboard.writeText(text);
      this._toast.show(done);
    } catch {
      // Without a secure context or permission there is no clipboard.
      this._dialogs.show({ kind: "copy", text });
    }
  }
}

/**
 * "2 jobs: 2 Dead in segment."
 * @param {Pick<Outcome, "changed" | "plan">} outcome
 */
export function planInWords({ changed, plan }) {
  const parts = (plan ?? []).filter((part) => part.changes);
  const words = parts.map((part) => `${count(part.jobs)} ${part.status} in ${part.queue}`);
  return `${counted(changed, "job")}: ${words.join(", ")}.`;
}
