// One stream of events for all tabs of a browser, which opens six connections to a server: a stream keeps one of them.

/** @import { SpawnEvent, SpawnManager } from "../client.js" */
/** @typedef {"open" | {status: number}} StreamState open, or why it is not */
/** @typedef {{kind: "hello"} | {kind: "event", event: SpawnEvent} | {kind: "state", state: StreamState}} Message */

const NAME = "hammerwork.events";

/**
 * Follows the events until the returned function is called. One tab holds a lock, has the stream and tells the others.
 * Pages that are neither encrypted nor local have no locks: there each tab has a stream.
 * @param {SpawnManager} client
 * @param {(event: SpawnEvent) => void} hear
 * @param {(state: StreamState) => void} onState
 * @returns {() => void}
 */
export function follow(client, hear, onState) {
  /** @type {LockManager | undefined} */
  const locks = navigator.locks;
  if (!locks) return client.subscribe(hear, { onState });
  const channel = new BroadcastChannel(NAME);
  const closing = new AbortController();
  /** @type {StreamState | null} the state of the stream of this tab, if it has one */
  let own = null;
  let leads = false;
  /** @param {Message} message */
  const tell = (message) => {
    if (!closing.signal.aborted) channel.postMessage(message);
  };

  const lead = () =>
    new Promise((/** @type {(value?: unknown) => void} */ release) => {
      leads = true;
      const unsubscribe = client.subscribe(
        (event) => {
          hear(event);
          tell({ kind: "event", event });
        },
        { onState: (state) => learn(state === "open" ? state : { status: state.status }) },
      );
      const leave = () => {
        leads = false;
        unsubscribe();
        release();
      };
      closing.signal.addEventListener("abort", leave, { once: true });
      /** @param {StreamState} state */
      function learn(state) {
        own = state;
        onState(state);
        tell({ kind: "state", state });
        // A tab with another token may have more luck.
        if (state !== "open" && isRefused(state.status)) leave();
      }
    });

  channel.addEventListener("message", ({ data }) => {
    const message = /** @type {Message} */ (data);
    if (message.kind === "hello" && leads && own) tell({ kind: "state", state: own });
    if (leads || closing.signal.aborted) return;
    if (message.kind === "event") hear(message.event);
    if (message.kind === "state") onState(message.state);
  });
  locks.request(NAME, { signal: closing.signal }, lead).catch((error) => {
    if (!closing.signal.aborted) throw error;
  });
  tell({ kind: "hello" });
  return () => {
    closing.abort();
    channel.close();
  };
}

/** @param {number} status */
const isRefused = (status) => status >= 400 && status < 500 && status !== 429;
