// Counts of jobs by kind, and the order and bars that follow from them.

import { kindOf } from "./statuses.js";

/** @import { ChildCounts, SpawnOperation, Status, TreeCounts } from "../client.js" */
/** @typedef {"failed" | "unfinished" | "completed"} Section */

/**
 * Counts jobs by kind. The total includes unknown statuses.
 * @param {Iterable<readonly [status: Status, jobs: number]>} groups
 * @param {number} total
 * @returns {Required<ChildCounts>}
 */
export function countsByKind(groups, total) {
  const counts = { total, completed: 0, failed: 0, running: 0, pending: 0, retrying: 0, cancelled: 0 };
  for (const [status, jobs] of groups) {
    const kind = status === "Cancelled" ? "cancelled" : kindOf(status);
    if (kind !== "unknown") counts[kind] += jobs;
    if (status === "Retrying") counts.retrying += jobs;
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

/** @typedef {Pick<SpawnOperation, "status" | "children" | "tree" | "failed_below">} Counted */

/**
 * The counts of the whole tree of an operation, or of its children where they are all that was counted.
 * @param {Counted} operation
 * @param {TreeCounts | null} [whole] those of `getTreeCounts`, if they were read
 * @returns {TreeCounts}
 */
export function countsOf({ children, tree, failed_below: below = 0 }, whole = null) {
  if (whole && !whole.more) return whole;
  if (tree && !tree.more) return tree;
  const counts = tree ?? { ...children, more: false };
  const unseen = Math.max(below - counts.failed, 0);
  return { ...counts, failed: counts.failed + unseen, total: counts.total + unseen, more: counts.more || unseen > 0 };
}

/**
 * The worst state at or below a job.
 * @param {Status} status of the job
 * @param {Pick<TreeCounts, "failed" | "running" | "pending">} counts of the jobs below it
 * @returns {Status}
 */
export function worstStatus(status, { failed, running, pending }) {
  const kind = kindOf(status);
  if (kind === "failed") return status;
  if (failed) return "Failed";
  if (kind !== "completed") return status;
  return running ? "Running" : pending ? "Pending" : status;
}

/**
 * The section of an operation in the list.
 * @param {Counted} operation
 * @returns {Section}
 */
export function sectionOf(operation) {
  const kind = kindOf(worstStatus(operation.status, countsOf(operation)));
  return kind === "failed" || kind === "completed" ? kind : "unfinished";
}

/**
 * The operations of two lists by section: those with failures in the order of their list, and the newest of the others.
 * @template {Counted & {parent_id: string}} Operation
 * @param {Operation[]} failing
 * @param {Operation[]} newest
 * @returns {Record<Section, Operation[]>}
 */
export function sectionsOf(failing, newest) {
  const fresh = new Map(newest.map((one) => [one.parent_id, one]));
  const known = new Set(failing.map((one) => one.parent_id));
  // The list of the newest is read more often.
  const all = [...failing.map((one) => ({ ...one, ...fresh.get(one.parent_id) })), ...newest.filter((one) => !known.has(one.parent_id))];
  /** @param {Section} section */
  const those = (section) => all.filter((one) => sectionOf(one) === section);
  return { failed: those("failed"), unfinished: those("unfinished"), completed: those("completed") };
}
