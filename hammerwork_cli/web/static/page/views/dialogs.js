// The dialogs: keyboard shortcuts, confirmations, text to copy, the token.

import { html, nothing } from "../template.js";

/** @import { Board } from "../state/board.js" */
/** @import { Question } from "../state/dialogs.js" */

const KEYS = [
  ["/", "Find a job by ID prefix"],
  ["↑ ↓", "Move in the tree"],
  ["→ ←", "Expand and collapse; go to the first child or the parent"],
  ["Enter", "Expand or collapse; load more"],
  ["Home End", "Go to the first or last row"],
  ["n", "Next failure in the tree"],
  ["m", "Copy the tree as Mermaid"],
  ["o", "Show the overview"],
  ["t", "Switch between dark and light"],
  ["Esc", "Close the dialog"],
  ["?", "Show this help"],
];

/** @param {Board} board */
export function dialog(board) {
  const { shown } = board.dialogs;
  if (board.session.wantsToken) return token(board);
  if (shown?.kind === "help") return help(board);
  if (shown?.kind === "copy") return copy(board, shown.text);
  return shown ? confirmation(board, shown.question) : nothing;
}

/**
 * The text of a field of the form that was submitted.
 * @param {Event} event
 * @param {string} name
 */
function fieldOf(event, name) {
  const field = /** @type {HTMLFormElement} */ (event.target).elements.namedItem(name);
  return field instanceof HTMLInputElement ? field.value.trim() : undefined;
}

/** @param {Board} board */
function help({ dialogs }) {
  return html`<dialog aria-labelledby="dialog-title" @close=${() => dialogs.close()}>
    <h2 id="dialog-title">Keyboard shortcuts</h2>
    <dl class="keys">${KEYS.map(([key, what]) => html`<dt><kbd>${key}</kbd></dt><dd>${what}</dd>`)}</dl>
    <form method="dialog"><button autofocus>Close</button></form>
  </dialog>`;
}

/**
 * @param {Board} board
 * @param {Question} question
 */
function confirmation({ changes, dialogs }, question) {
  /** @param {SubmitEvent} event */
  const submit = (event) => {
    const button = /** @type {HTMLButtonElement | null} */ (event.submitter);
    if (button?.value === "yes") changes.apply(question, fieldOf(event, "reason"));
  };
  /** @param {Event} event */
  const close = (event) => /** @type {HTMLElement} */ (event.target).closest("dialog")?.close();
  return html`<dialog role="alertdialog" aria-labelledby="dialog-title" @close=${() => dialogs.close()}>
    <h2 id="dialog-title">${question.title}</h2>
    <p>${question.text}</p>
    <form method="dialog" @submit=${submit}>
      ${question.reason
        ? html`<label>Reason <input name="reason" maxlength="200" autocomplete="off" autofocus /></label>`
        : nothing}
      <p class="buttons">
        <button type="button" ?autofocus=${!question.reason} @click=${close}>Not now</button>
        <button value="yes" class="strong">${question.yes}</button>
      </p>
    </form>
  </dialog>`;
}

/**
 * @param {Board} board
 * @param {string} text
 */
function copy({ dialogs }, text) {
  /** @param {Event} event */
  const select = (event) => /** @type {HTMLTextAreaElement} */ (event.target).select();
  return html`<dialog aria-labelledby="dialog-title" @close=${() => dialogs.close()}>
    <h2 id="dialog-title">Copy this text</h2>
    <textarea readonly rows="14" cols="72" .value=${text} @focus=${select}></textarea>
    <form method="dialog"><button>Close</button></form>
  </dialog>`;
}

/** @param {Board} board */
function token(board) {
  /** @param {Event} event */
  const submit = (event) => {
    event.preventDefault();
    board.signIn(fieldOf(event, "token") ?? "");
  };
  /** @param {Event} event */
  const stay = (event) => event.preventDefault();
  return html`<dialog aria-labelledby="dialog-title" @cancel=${stay}>
    <h2 id="dialog-title">This server requires a token</h2>
    <p class="quiet">Enter the token that the server was started with. The page keeps it until you close this tab.</p>
    <form @submit=${submit}>
      <label>Token <input name="token" type="password" autocomplete="current-password" required autofocus /></label>
      ${board.session.tokenRefused ? html`<p class="failed" role="alert">The server rejected this token.</p>` : nothing}
      <p class="buttons"><button class="strong">Continue</button></p>
    </form>
  </dialog>`;
}
