// The items of a tree that the page has read.
//
// A *place* is where a job stands in the tree; a job with two parents stands in two places. Below a place are its
// *lists* of children: one for a small family; of a large one, one for each of its groups.

/** @import { ChildCounts, ChildGroup, JobNode, Status } from "../../client.js" */

import { kindOf } from "../statuses.js";

/** @typedef {JobNode & {children?: number, child_counts?: ChildCounts, failed_below?: number, more_failed_below?: boolean}} TreeJob */

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
 * @property {boolean} grouped whether each list holds one group
 * @property {boolean} again whether the job is one of its own ancestors
 */

/**
 * @typedef {object} ListFacts
 * @property {"group"} kind
 * @property {string} key
 * @property {Place} place the parent
 * @property {string | null} queue `null` for all children of a small family
 * @property {Status | null} status `null` for all children of a small family
 * @property {number} failedBelow failed jobs below those of a group
 * @property {boolean} moreFailedBelow whether there may be more
 * @property {number} total
 * @property {Place[]} jobs
 * @property {string | null} cursor of the next page
 * @property {boolean} wantsMore
 */

/** @typedef {Reading & PlaceFacts} Place */
/** @typedef {Reading & ListFacts} List */
/** @typedef {Place | List} Item */
/** @typedef {ChildGroup | {queue: null, status: null, jobs: number, failed_below: 0, more_failed_below: false}} Group */

/** Groups with at most this many jobs open by themselves when they run, failed or have failures below. */
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
export function newList(place, group, number) {
  const { queue, status, jobs, failed_below: failedBelow, more_failed_below: moreFailedBelow } = group;
  const matters = failedBelow > 0 || (status !== null && ["failed", "running"].includes(kindOf(status)));
  const facts = { place, queue, status, failedBelow, moreFailedBelow, total: jobs, jobs: [], cursor: null, wantsMore: false };
  return { ...unread(number), kind: "group", key: listKey(place, group), ...facts, open: matters && jobs <= URGENT };
}

/**
 * @param {Place} place
 * @param {Group} group
 */
export const listKey = (place, { queue, status, failed_below: below }) =>
  `${place.key}/${queue === null ? "*" : JSON.stringify([queue, status, below > 0])}`;

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

/** @param {TreeJob} job */
export const isFailure = ({ status }) => kindOf(status) === "failed";

/**
 * The failed jobs on all levels below a job, as far as they are known.
 * @param {TreeJob} job
 */
export const failedBelow = ({ failed_below: below = 0, child_counts: counts }) => Math.max(below, counts?.failed ?? 0);

/**
 * Whether a list shows failed jobs, or jobs above such, beyond those that were read: they come first.
 * @param {List} list
 */
export function hasMoreFailures({ status, failedBelow: below, jobs }) {
  const last = jobs.at(-1)?.job;
  if (status !== null) return below > 0 || kindOf(status) === "failed";
  return last === undefined || isFailure(last) || failedBelow(last) > 0;
}

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
