// Moves through the rows of a tree with the keyboard.

import { opens } from "./items.js";

/** @import { Item, List } from "./items.js" */
/** @import { Row } from "./rows.js" */

/**
 * @typedef {object} Step the action of a key: at most one of these
 * @property {number} [move] the row to go to
 * @property {Item} [open]
 * @property {Item} [close]
 * @property {List} [readMore]
 */

/**
 * @typedef {object} Position
 * @property {Row[]} rows
 * @property {number} at the index of the active row
 * @property {number} page the number of rows in view
 */

/**
 * The action of a key; `null` for a key without one.
 * @param {string} key
 * @param {Position} position
 * @returns {Step | null}
 */
export function step(key, position) {
  const act = KEYS[key];
  if (!act) return null;
  const taken = act(position);
  if (taken.move === undefined) return taken;
  return { move: Math.min(Math.max(taken.move, 0), position.rows.length - 1) };
}

/** @type {Record<string, ((position: Position) => Step) | undefined>} */
const KEYS = {
  ArrowDown: ({ at }) => ({ move: at + 1 }),
  ArrowUp: ({ at }) => ({ move: at - 1 }),
  PageDown: ({ at, page }) => ({ move: at + page }),
  PageUp: ({ at, page }) => ({ move: at - page }),
  Home: () => ({ move: 0 }),
  End: ({ rows }) => ({ move: rows.length - 1 }),
  ArrowRight: ({ rows, at }) => {
    const item = openable(rows[at]);
    if (!item) return {};
    return item.open ? { move: at + 1 } : { open: item };
  },
  ArrowLeft: ({ rows, at }) => {
    const item = openable(rows[at]);
    if (item?.open) return { close: item };
    const { level } = rows[at];
    return { move: rows.findLastIndex((row, index) => index < at && row.level < level) };
  },
  Enter: ({ rows, at }) => activation(rows[at]),
  " ": ({ rows, at }) => activation(rows[at]),
};

/**
 * The action of Enter on a row: it opens, closes or reads more.
 * @param {Row} row
 * @returns {Step}
 */
function activation(row) {
  if (row.kind === "more") return { readMore: row.item };
  const item = openable(row);
  if (!item) return {};
  return item.open ? { close: item } : { open: item };
}

/**
 * The item of a row, when the row opens and closes.
 * @param {Row} row
 */
export function openable(row) {
  return (row.kind === "job" || row.kind === "group") && opens(row.item) ? row.item : null;
}
