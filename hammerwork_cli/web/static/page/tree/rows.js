// Folds a tree into rows, from top to bottom.

import { failedBelow, hasMoreFailures, isFailure, opens } from "./items.js";

/** @import { Item, List, Place, TreeJob } from "./items.js" */

/** @typedef {{key: string, level: number, position: number, size: number}} RowPlace */
/**
 * @typedef {RowPlace & (
 *   | {kind: "job", item: Place}
 *   | {kind: "group", item: List}
 *   | {kind: "more", item: List}
 *   | {kind: "note", item: Item}
 * )} Row a "more" row reads the next page, a "note" row shows an error
 */

/**
 * @param {Place} root
 * @returns {Row[]}
 */
export function rowsOf(root) {
  /** @type {Row[]} */
  const rows = [];
  addPlace(rows, root, 1, 1, 1);
  return rows;
}

/**
 * @param {Row[]} rows
 * @param {Place} place
 * @param {number} level
 * @param {number} position
 * @param {number} size
 */
function addPlace(rows, place, level, position, size) {
  rows.push({ kind: "job", key: place.key, item: place, level, position, size });
  if (!place.open) return;
  if (place.grouped) addGroups(rows, place, level + 1);
  else for (const list of place.lists) addJobs(rows, list, level + 1);
  if (place.error) rows.push({ kind: "note", item: place, ...alone(place, "note", level + 1) });
}

/**
 * @param {Row[]} rows
 * @param {Place} place
 * @param {number} level
 */
function addGroups(rows, place, level) {
  place.lists.forEach((list, index) => {
    rows.push({ kind: "group", key: list.key, item: list, level, position: index + 1, size: place.lists.length });
    if (list.open) addJobs(rows, list, level + 1);
  });
}

/**
 * @param {Row[]} rows
 * @param {List} list
 * @param {number} level
 */
function addJobs(rows, list, level) {
  const jobs = list.status === null ? [...list.jobs].sort(byUrgency) : list.jobs;
  jobs.forEach((place, index) => addPlace(rows, place, level, index + 1, list.total));
  if (list.error) rows.push({ kind: "note", item: list, ...alone(list, "note", level) });
  else if (list.cursor) rows.push({ kind: "more", item: list, ...alone(list, "more", level) });
}

/**
 * @param {Item} item
 * @param {string} kind
 * @param {number} level
 * @returns {RowPlace}
 */
const alone = (item, kind, level) => ({ key: `${item.key}#${kind}`, level, position: 1, size: 1 });

/**
 * Failures first, then jobs with failures below, then the oldest. Other changes of status move no rows.
 * @param {Place} place
 * @param {Place} other
 */
function byUrgency({ job: one }, { job: other }) {
  const difference = urgencyOf(one) - urgencyOf(other);
  return difference || compare(one.created_at, other.created_at) || compare(one.id, other.id);
}

/** @param {TreeJob} job */
const urgencyOf = (job) => (isFailure(job) ? 0 : failedBelow(job) ? 1 : 2);

/**
 * Whether failures come into view when a row opens, or reads more.
 * @param {Row} row
 */
export function hidesFailures({ kind, item }) {
  if (kind === "more") return hasMoreFailures(item);
  if (kind === "note" || item.open || !opens(item)) return false;
  return kind === "job" ? failedBelow(item.job) > 0 : hasMoreFailures(item);
}

/**
 * @param {string | null} one
 * @param {string | null} other
 */
function compare(one, other) {
  const [first, second] = [one ?? "", other ?? ""];
  return first < second ? -1 : Number(first > second);
}
