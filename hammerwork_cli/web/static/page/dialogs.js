import { html, nothing } from "./template.js";

const KEYS = [
  ["/", "Search a job by the beginning of its id"],
  ["↑ ↓", "Move in the tree"],
  ["→ ←", "Open and close; to the first child, to the parent"],
  ["Enter", "Open or close; read more"],
  ["Home End", "To the first and the last row"],
  ["m", "Copy the tree as Mermaid"],
  ["o", "Overview"],
  ["t", "Dark or light"],
  ["Esc", "Close what is open"],
  ["?", "This help"],
];

export function dialogs(board) {
  if (board.wantsToken) return token(board);
  const kind = board.dialog?.kind;
  return kind ? KINDS[kind](board, board.dialog) : nothing;
}

const close = (board) => {
  board.dialog = null;
  board.draw();
};

const KINDS = {
  help: (board) => html`<dialog aria-labelledby="dialog-title" @close=${() => close(board)}>
    <h2 id="dialog-title">Keys</h2>
    <dl class="keys">${KEYS.map(([key, what]) => html`<dt><kbd>${key}</kbd></dt><dd>${what}</dd>`)}</dl>
    <form method="dialog"><button autofocus>Close</button></form>
  </dialog>`,

  confirm: (board, asked) => html`<dialog role="alertdialog" aria-labelledby="dialog-title" @close=${() => close(board)}>
    <h2 id="dialog-title">${asked.title}</h2>
    <p>${asked.text}</p>
    <form
      method="dialog"
      @submit=${(event) => {
        if (event.submitter?.value === "yes") board.carryOut(asked, event.target.elements.reason?.value.trim());
      }}
    >
      ${asked.reason ? html`<label>Reason <input name="reason" maxlength="200" autocomplete="off" /></label>` : nothing}
      <p class="buttons">
        <button value="no" autofocus>Not now</button>
        <button value="yes" class="strong">${asked.yes}</button>
      </p>
    </form>
  </dialog>`,

  copy: (board, { text }) => html`<dialog aria-labelledby="dialog-title" @close=${() => close(board)}>
    <h2 id="dialog-title">Copy this</h2>
    <textarea readonly rows="14" cols="72" .value=${text} @focus=${(event) => event.target.select()}></textarea>
    <form method="dialog"><button>Close</button></form>
  </dialog>`,
};

function token(board) {
  return html`<dialog aria-labelledby="dialog-title" @cancel=${(event) => event.preventDefault()}>
    <h2 id="dialog-title">This server asks for a token</h2>
    <p class="quiet">The one that it was started with. It is kept until this tab is closed.</p>
    <form
      @submit=${(event) => {
        event.preventDefault();
        board.signIn(event.target.elements.token.value.trim());
      }}
    >
      <label>Token <input name="token" type="password" autocomplete="current-password" required autofocus /></label>
      ${board.refusedToken ? html`<p class="failed" role="alert">It does not accept this one.</p>` : nothing}
      <p class="buttons"><button class="strong">Continue</button></p>
    </form>
  </dialog>`;
}
