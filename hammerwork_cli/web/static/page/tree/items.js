// The items of a tree that the page has read.
//
// A *place* is where a job stands in the tree; a job with two parents stands in two places. Below a place are its
// *lists* of children: one for a small family, one per queue and status for a large one.

/** @import { ChildCounts, JobNode, Status } from "../../client.js" */

import { URGENCY, kindOf } from "../statuses.js";

/** @typedef {JobNode & {children?: number, child_counts?: ChildCounts}} TreeJob */

/**
 * @typedef {object} Reading
 * @property {number} number unique in its tree
 * @property {boolean} open
 * @property {boolean} reading
 * @property {Promise<void> | null} work the latest request, which the next one waits for
 * @property {unknown} error of the latest request; `null` when it succeeded
 */

/**
 * @typedef {object} PlaceFacts
 * @property {"job"} kind
 * @property {string} key
 * @property {TreeJob} job
 * @property {List | null} list the list that the place is in; `null` for the root
 * @property {List[]} lists
 * @property {number | null} total the number of children, when known
 * @property {boolean} grouped whether each list holds one queue and status
 * @property {boolean} again whether the job is one of its own ancestors
 */

/**
 * @typedef {object} ListFacts
 * @property {"group"} kind
 * @property {string} key
 * @property {Place} place the parent
 * @property {string | null} queue `null` for all children of a small family
 * @property {Status | null} status `null` for all children of a small family
 * @property {number} total
 * @property {Place[]} jobs
 * @property {string | null} cursor of the next page
 * @property {boolean} wantsMore
 */

/** @typedef {Reading & PlaceFacts} Place */
/** @typedef {Reading & ListFacts} List */
/** @typedef {Place | List} Item */
/** @typedef {{queue: string, status: Status, jobs: number} | {queue: null, status: null, jobs: number}} Group */

/** Groups with at most this many jobs open by themselves when they run or failed. */
const URGENT = 25;

/**
 * @param {number} number
 * @returns {Reading}
 */
const unread = (number) => ({ number, open: false, reading: false, work: null, error: null });

/**
 * @param {TreeJob} job
 * @param {List | null} list
 * @param {number} number
 * @returns {Place}
 */
export function newPlace(job, list, number) {
  const key = list ? `${list.key}/${job.id}` : job.id;
  const again = list !== null && ancestry(list).includes(job.id);
  return { ...unread(number), kind: "job", key, job, list, lists: [], total: job.children ?? null, grouped: false, again };
}

/**
 * @param {Place} place
 * @param {Group} group
 * @param {number} number
 * @returns {List}
 */
export function newList(place, { queue, status, jobs }, number) {
  const key = listKey(place, { queue, status });
  const open = urgencyOf({ status }) <= URGENCY.running && jobs <= URGENT;
  const facts = { place, queue, status, total: jobs, jobs: [], cursor: null, wantsMore: false };
  return { ...unread(number), kind: "group", key, ...facts, open };
}

/**
 * @param {Place} place
 * @param {Pick<Group, "queue" | "status">} group
 */
export const listKey = (place, { queue, status }) =>
  `${place.key}/${queue === null ? "*" : JSON.stringify([queue, status])}`;

/**
 * The ids of the jobs above the members of a list, the nearest first.
 * @param {List} list
 */
function ancestry(list) {
  const ids = [];
  for (let place = list.place; ; place = place.list.place) {
    ids.push(place.job.id);
    if (!place.list) return ids;
  }
}

/**
 * Whether something is, or may be, below an item.
 * @param {Item} item
 */
export function opens(item) {
  if (item.kind === "group") return true;
  return !item.again && item.total !== 0;
}

/**
 * Orders lists: failures first, then the longest.
 * @param {List} one
 * @param {List} other
 */
export const byUrgency = (one, other) => urgencyOf(one) - urgencyOf(other) || other.total - one.total;

/** @param {{status: Status | null}} list */
const urgencyOf = ({ status }) => (status === null ? URGENCY.completed : URGENCY[kindOf(status)]);

/**
 * The open places below and including a place, level by level.
 * @param {Place} root
 * @returns {Generator<Place>}
 */
export function* openPlaces(root) {
  const waiting = [root];
  for (let place = waiting.shift(); place; place = waiting.shift()) {
    if (!place.open) continue;
    yield place;
    for (const list of place.lists) {
      if (list.open) waiting.push(...list.jobs.filter((child) => child.open));
    }
  }
}
