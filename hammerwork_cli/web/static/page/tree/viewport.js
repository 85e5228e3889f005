// The part of a tree that is drawn. Only rows near the visible part are in the document: a tree may have 100,000.

/** The height of a row, as in styles/tree.css. */
export const ROW = 28;
const SPARE = 10;

/**
 * The rows to draw, as a half-open range.
 * @param {number} scrollTop
 * @param {number} height
 */
export function rangeInView(scrollTop, height) {
  const from = Math.max(0, Math.floor(scrollTop / ROW) - SPARE);
  return { from, to: from + Math.ceil(height / ROW) + 2 * SPARE };
}

/** @param {number} height */
export const rowsPerPage = (height) => Math.floor(height / ROW) - 1;

/**
 * The scroll position that shows a row and moves the least.
 * @param {number} row
 * @param {{scrollTop: number, clientHeight: number}} pane
 */
export function scrolledTo(row, { scrollTop, clientHeight }) {
  const top = row * ROW;
  if (top < scrollTop) return top;
  return top + ROW > scrollTop + clientHeight ? top + ROW - clientHeight : scrollTop;
}
