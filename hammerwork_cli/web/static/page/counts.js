// Counts of jobs by kind, and the order and bars that follow from them.

import { kindOf } from "./statuses.js";

/** @import { ChildCounts, SpawnOperation, Status } from "../client.js" */
/** @typedef {"failed" | "running" | "completed"} Section */

/**
 * Counts jobs by kind. The total includes unknown statuses.
 * @param {Iterable<readonly [status: Status, jobs: number]>} groups
 * @param {number} total
 * @returns {ChildCounts}
 */
export function countsByKind(groups, total) {
  const counts = { total, completed: 0, failed: 0, running: 0, pending: 0 };
  for (const [status, jobs] of groups) {
    const kind = kindOf(status);
    if (kind !== "unknown") counts[kind] += jobs;
  }
  return counts;
}

/**
 * The width of a part in percent. The smallest part is visible, and an incomplete part never looks complete.
 * @param {number} part
 * @param {number} total
 */
export function share(part, total) {
  if (!part || !total) return 0;
  const percent = (100 * part) / total;
  return part === total ? 100 : Math.min(Math.max(percent, 1.5), 98.5);
}

/**
 * The section of an operation in the list.
 * @param {Pick<SpawnOperation, "status" | "children">} operation
 * @returns {Section}
 */
export function sectionOf({ status, children }) {
  if (children.failed || kindOf(status) === "failed") return "failed";
  return children.running || children.pending || kindOf(status) !== "completed" ? "running" : "completed";
}
