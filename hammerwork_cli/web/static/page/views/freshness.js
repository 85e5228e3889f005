// How old a part of the page is.

import { html, nothing } from "../template.js";
import { timeOfDay } from "../words.js";

/** @import { Part } from "../state/part.js" */

/** An answer that is older shows its time. */
const OLD_SECONDS = 30;

/**
 * Whether a part no longer shows the present.
 * @param {Part<unknown>} part
 * @param {number} now
 */
export const isOld = (part, now) => part.error !== null || part.secondsSince(now) > OLD_SECONDS;

/**
 * "as of 10:42:07"; nothing without an answer.
 * @param {Part<unknown>} part
 */
export const asOf = ({ at }) => (at === null ? nothing : html`<span class="quiet as-of">as of ${timeOfDay(at)}</span>`);

/**
 * Why a part is not up to date: it is on its way, it failed, or it is old.
 * @param {Part<unknown>} part
 * @param {number} now
 */
export function note(part, now) {
  if (part.error) return html`<span class="failed" title=${part.error.detail}>Not read</span> ${asOf(part)}`;
  if (part.at === null) return html`<span class="quiet">Loading …</span>`;
  return isOld(part, now) ? asOf(part) : nothing;
}

/**
 * The heading of a part.
 * @param {string} title
 * @param {Part<unknown>} part
 * @param {number} now
 */
export const heading = (title, part, now) => html`<h2>${title} <span class="age">${note(part, now)}</span></h2>`;

/**
 * The heading of a part with nothing to list, unless it is up to date: then there is none.
 * @param {string} title
 * @param {Part<unknown>} part
 * @param {number} now
 */
export const headingAlone = (title, part, now) =>
  part.value === null || isOld(part, now) ? heading(title, part, now) : nothing;
