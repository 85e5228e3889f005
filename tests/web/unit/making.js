// Makes jobs, places and clients for the tests.

/** @import { Outcome, SpawnManager } from "../../../hammerwork_cli/web/static/client.js" */
/** @import { TreeJob } from "../../../hammerwork_cli/web/static/page/tree/items.js" */

/**
 * @param {string} id
 * @param {Partial<TreeJob>} [facts]
 * @returns {TreeJob}
 */
export const job = (id, facts = {}) => ({
  id,
  queue: "mail",
  status: "Completed",
  priority: "normal",
  depends_on: [],
  has_spawn_config: false,
  spawn_config: null,
  operation_id: null,
  created_at: null,
  started_at: null,
  completed_at: null,
  failed_at: null,
  error: null,
  workflow_id: null,
  workflow_name: null,
  archived_at: null,
  run_started_at: null,
  ...facts,
});

/**
 * One page of a list.
 * @template Item
 * @param {Item[]} items
 * @param {string | null} [cursor]
 */
export const pageOf = (items, cursor = null) => Object.assign([...items], { cursor, total: /** @type {number | null} */ (null), more: false });

/**
 * A client with only the methods that a test calls.
 * @param {Partial<SpawnManager>} methods
 */
export const clientWith = (methods) => /** @type {SpawnManager} */ (methods);

/**
 * @param {Partial<Outcome>} facts
 * @returns {Outcome}
 */
export const outcome = (facts) => ({ action: "retry", dry_run: true, changed: 0, followed: 0, left: {}, due_later: 0, due_at: null, plan: [], ...facts });

export const draw = () => {};
