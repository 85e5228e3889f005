/** A full ID, `550e8400-e29b-41d4-a716-446655440000`. Parameters that name a job also accept a unique prefix. */
export type JobId = string;
/** RFC 3339 in UTC. */
export type Instant = string;

/** An event of the stream. */
export type SpawnEvent = { id: string | null } & {
  [Type in keyof EventData]: { type: Type; data: EventData[Type] };
}[keyof EventData];

export interface Job {
  /** The JSON of the answer, with the numbers that JavaScript cannot hold. Not enumerable. */
  readonly source?: string;
}

// From here, `make reference` writes the shapes of the program.

export type Status =
  | "Pending"
  | "Running"
  | "Completed"
  | "Failed"
  | "Dead"
  | "TimedOut"
  | "Retrying"
  | "Archived"
  | "Cancelled"
  /** A status that this version does not know. */
  | (string & {});

export type Priority = "background" | "low" | "normal" | "high" | "critical";

/** `unknown`: the check needs a migration that is missing. */
export type HealthLevel = "healthy" | "unknown" | "warning" | "critical";

/** The `_spawn_config` of a payload, as stored. */
export interface SpawnConfig {
  handler?: string | null;
  operation_id?: string | null;
  max_spawn_count?: number | null;
  max_depth?: number | null;
  max_descendants?: number | null;
  spawn_delay_ms?: number | null;
  batch_size?: number | null;
  inherit_priority?: boolean;
  inherit_queue?: boolean;
  inherit_retry_strategy?: boolean;
  inherit_timeout?: boolean;
  inherit_trace_context?: boolean;
  on_error?: "retry" | "complete" | null;
  /** For the handler. */
  metadata?: unknown;
  [key: string]: unknown;
}

/** A job in trees and lists. */
export interface JobNode {
  id: JobId;
  queue: string;
  status: Status;
  priority: Priority;
  /** Ids of its parents. */
  depends_on: string[];
  has_spawn_config: boolean;
  /** The stored _spawn_config. */
  spawn_config: SpawnConfig | null;
  /** Operation id of its spawn configuration. */
  operation_id: string | null;
  /** Null when the row holds an unreadable value. */
  created_at: Instant | null;
  /** When it was claimed for its last attempt. */
  started_at: Instant | null;
  completed_at: Instant | null;
  failed_at: Instant | null;
  /** Its first 500 characters. */
  error: string | null;
  workflow_id: string | null;
  workflow_name: string | null;
  archived_at: Instant | null;
  /** When the handler of its last attempt began to run, once that has ended; otherwise as started_at. */
  run_started_at: Instant | null;
}

/** A job as `getJobs` lists it. */
export interface ListedJob extends JobNode {
  attempts: number;
  max_attempts: number;
  /** none, waiting, satisfied or failed, or an unknown word that the row holds. */
  dependency_status: string | null;
  scheduled_at: Instant | null;
  /** Whether it is a recurring job. */
  recurring: boolean;
}

export interface Relative {
  id: JobId;
  queue: string | null;
  status: Status | null;
  error: string | null;
}

/** Columns that an older database may lack. */
export interface JobFacts {
  timeout_seconds?: number | null;
  timed_out_at?: Instant | null;
  cron_schedule?: string | null;
  timezone?: string | null;
  next_run_at?: Instant | null;
  batch_id?: string | null;
  result_stored_at?: Instant | null;
  result_expires_at?: Instant | null;
  trace_id?: string | null;
  correlation_id?: string | null;
  parent_span_id?: string | null;
  span_context?: string | null;
  archival_reason?: string | null;
  archived_by?: string | null;
  is_encrypted?: boolean;
  encryption_key_id?: string | null;
  encryption_algorithm?: string | null;
  encrypted_bytes?: number | null;
  payload_hash?: string | null;
  retention_policy?: string | null;
  retention_delete_at?: Instant | null;
  encrypted_at?: Instant | null;
  /** As hammerwork (Rust) writes it; null for the worker's. */
  retry_strategy?: unknown;
  /** Of the lease that version 3 of hammerwork (Rust) checks. */
  last_heartbeat_at?: Instant | null;
  lease_expires_at?: Instant | null;
  /** An object with the columns that this version does not know, except binary ones. */
  other_columns?: Record<string, unknown>;
}

/** All facts about one job. */
export interface Job extends ListedJob, JobFacts {
  /** Read from the archive table. */
  in_archive: boolean;
  /** That it holds, or was the last to hold. */
  unique_key: string | null;
  /** As JSON; text if it is not valid JSON. */
  payload: unknown;
  /** As JSON; text if it is not valid JSON. */
  result: unknown;
  /** A deleted parent has nulls. */
  parents: Relative[];
  /** Why it waits; a later version may write more. */
  hold:
    | "unfinished"
    | "parent_failed"
    | "parent_missing"
    | "not_released"
    | "stuck_above"
    | "paused"
    | "no_worker"
    | "limited"
    | "busy"
    | "ready"
    | "retrying"
    | "scheduled"
    | "misspelt_status"
    | "barred"
    | "disabled"
    | "webhook_disabled"
    | null;
  /** The same in a sentence for people; its words may change. */
  hold_message: string | null;
  children: {
    /** All, including Archived jobs and unknown statuses, which are in no other count. */
    total: number;
    completed: number;
    /** Failed, Dead and TimedOut. */
    failed: number;
    running: number;
    /** Pending and Retrying. */
    pending: number;
    /** The part of pending that waits for another attempt after one failed. */
    retrying: number;
    cancelled: number;
    /** Some of them, failures first. */
    first: Relative[];
  };
  /** Attempts that did not complete, the newest 50, oldest first. */
  attempt_history: PastAttempt[];
  /** Callbacks of the job and everything below it. */
  callbacks: Callback[];
  worker: {
    id: string;
    name: string;
    /** running, stopping, silent, lost or stopped. */
    state: string;
    /** Since its last heartbeat. */
    silent_seconds: number;
    /** Time without a heartbeat after which others may rescue the job. */
    lease_seconds: number;
  } | null;
  /** What the handler of a running job has reported with context.progress; null for other jobs. */
  progress: {
    /** Of the work that is done. */
    share: number;
    text: string;
    reported_at: Instant | null;
  } | null;
  /** Recorded operations, oldest first. */
  spawns: RecordedSpawn[];
  /** Spawn requests, newest first. */
  spawn_requests: SpawnRequest[];
}

export interface ChildCounts {
  /** All, including Archived jobs and unknown statuses, which are in no other count. */
  total: number;
  completed: number;
  /** Failed, Dead and TimedOut. */
  failed: number;
  running: number;
  /** Pending and Retrying. */
  pending: number;
  /** The part of pending that waits for another attempt after one failed. */
  retrying: number;
  cancelled: number;
}

/** All jobs below a job. */
export interface TreeCounts extends ChildCounts {
  /** Whether there are more than were counted. */
  more: boolean;
}

export interface TreeNode extends JobNode {
  /** Levels below the job. */
  depth: number;
  /** All children, shown or not. */
  children: number;
  child_counts: ChildCounts;
  /** Failed jobs on all levels below it, the archive aside. */
  failed_below?: number;
  /** Whether there may be more: the newest 5,000 of a tree are looked at. */
  more_failed_below?: boolean;
}

/** Children in one queue and status, with failures below or without. */
export interface ChildGroup {
  queue: string;
  status: Status;
  jobs: number;
  /** Failed jobs on all levels below it, the archive aside. */
  failed_below: number;
  /** Whether there may be more: the newest 5,000 of a tree are looked at. */
  more_failed_below: boolean;
}

/** A job above another one. */
export interface Ancestor extends JobNode {
  /** Levels above the job. */
  distance: number;
}

/** A job of `SpawnTree`. */
export interface TreeJob extends JobNode {
  /** Levels below its root. */
  depth: number;
  /** All children, shown or not. */
  children: number;
  /** What the handler of a running job has reported with context.progress; null for other jobs. */
  progress: {
    /** Of the work that is done. */
    share: number;
    text: string;
    reported_at: Instant | null;
  } | null;
}

/** The answer to `format=json`. Parents come before their children. */
export interface SpawnTree {
  schema_version: 1;
  /** The topmost ancestors. */
  roots: JobId[];
  /** The job that was asked for. */
  target: JobId;
  /** Whether a limit cut it short. */
  truncated: boolean;
  /** Parents first. */
  nodes: TreeJob[];
  edges: {
    from: JobId;
    to: JobId;
    /** spawn if the parent has a spawn configuration or has spawned. */
    type: "spawn" | "dependency";
  }[];
}

/** A spawn as a worker recorded it. */
export interface RecordedSpawn {
  id: string;
  /** Operation id, where the configuration names one. */
  operation_id: string | null;
  handler: string | null;
  /** failed: the parent completed without children; repeated: it was allowed to spawn again. */
  outcome: "spawned" | "failed" | "repeated" | "unknown";
  children: number;
  /** Why nothing was spawned. */
  error: string | null;
  /** The error of on_spawn_complete. */
  hook_error: string | null;
  worker_id: string | null;
  /** Id of the request that it fulfilled. */
  request_id: string | null;
  started_at: Instant | null;
  ended_at: Instant | null;
}

export interface SpawnOperation {
  parent_id: JobId;
  queue: string;
  status: Status;
  priority: Priority;
  children: ChildCounts;
  /** Completed among the ended children. */
  success_rate: number | null;
  /** The first child. */
  spawned_at: Instant | null;
  /** Null until all have ended. */
  finished_at: Instant | null;
  wall_time_seconds: number | null;
  operation_id: string | null;
  handler: string | null;
  /** Its last spawn as a worker recorded it. */
  recorded: RecordedSpawn | null;
  /** The stored _spawn_config. */
  spawn_config: SpawnConfig | null;
  workflow_id: string | null;
  workflow_name: string | null;
  /** When the parent was created. */
  created_at: Instant | null;
  /** When the parent completed. */
  completed_at: Instant | null;
  /** Failed jobs on all levels below (--failed). */
  failed_below?: number;
  /** Whether there may be more failed jobs, because only the newest are read (--failed). */
  more_failed_below?: boolean;
  /** When the parent or a job below failed last (--failed). */
  newest_failure_at?: Instant | null;
  /** Error of that job (--failed). */
  newest_error?: string | null;
  /** All jobs below it. */
  tree?: TreeCounts | null;
}

/** Figures of the operations of a queue or a handler. */
export interface SpawnFigures {
  /** Name of the queue or handler. */
  name: string;
  operations: number;
  children: number;
  /** Children per operation. */
  average: number | null;
  /** Children of the largest operation. */
  largest: number;
  completed: number;
  ended: number;
  success_rate: number | null;
  /** Failed, Dead and TimedOut. */
  failed: number;
  cancelled: number;
  /** Children that wait for another attempt after one failed. */
  retrying: number;
}

export interface SpawnStats {
  since: Instant | null;
  /** Null for all and for several. */
  queue: string | null;
  /** Those of --queue; empty for all. */
  queue_names: string[];
  operations: number;
  children: number;
  /** Children per operation. */
  average: number | null;
  /** Children of the largest operation. */
  largest: number;
  completed: number;
  ended: number;
  success_rate: number | null;
  /** Failed, Dead and TimedOut. */
  failed: number;
  cancelled: number;
  /** Children that wait for another attempt after one failed. */
  retrying: number;
  /** Completed parents without a child. */
  empty: number;
  /** Operations of the last hour. */
  recent: number;
  /** Levels below the topmost parent. */
  depth: number;
  /** Run time of completed children; of more than 2,000, that of a sample. */
  p50_seconds: number | null;
  p95_seconds: number | null;
  /** Children from which p50_seconds and p95_seconds come. */
  timed: number;
  /** Figures of each queue (--detailed). */
  by_queue: SpawnFigures[] | null;
  /** Figures of each handler (--detailed). */
  by_handler: SpawnFigures[] | null;
  /** The slowest operations (--detailed). */
  slowest: SpawnOperation[] | null;
}

/** A request to spawn again. */
export interface SpawnRequest {
  id: string;
  job_id: JobId;
  queue: string;
  /** Null for the job's own. */
  handler: string | null;
  /** The stored _spawn_config. */
  spawn_config: SpawnConfig | null;
  state: "pending" | "running" | "done" | "failed" | "unknown";
  requested_at: Instant | null;
  requested_by: string | null;
  /** The worker that took it. */
  worker_id: string | null;
  ended_at: Instant | null;
  /** Children that it spawned. */
  children: number | null;
  error: string | null;
}

/** The outcome of a change. */
export interface Outcome {
  action: "retry" | "cancel" | "delete" | "purge" | "archive" | "restore";
  dry_run: boolean;
  /** Jobs. */
  changed: number;
  /** Dependents that changed with them. */
  followed: number;
  /** Jobs left unchanged, by reason. */
  left: Record<string, number>;
  /** Retried jobs whose due time is still to come. */
  due_later: number;
  /** The first of these due times. */
  due_at: Instant | null;
  /** Null for one job by its id. */
  plan: {
    queue: string;
    status: Status;
    jobs: number;
    /** False for jobs that are left unchanged. */
    changes: boolean;
  }[] | null;
}

/** An attempt at a job that did not complete. */
export interface PastAttempt {
  /** Its number; after a job was given back or retried, several may have the same number. */
  attempt: number;
  /** lost: the worker was lost; stopped: the worker stopped at once and gave the job back. */
  outcome: "failed" | "timed_out" | "lost" | "stopped" | "unknown";
  /** Name of the worker; null when it is no longer known. */
  worker: string | null;
  /** Null for a Rust worker. */
  worker_id: string | null;
  /** When the job was claimed. */
  started_at: Instant | null;
  ended_at: Instant | null;
  /** At most 4,000 bytes; a longer one keeps its beginning and its end. */
  error: string | null;
}

/** A job that a worker enqueues at the end of a job and everything below it. */
export interface Callback {
  /** complete, success or failure; a later version may write more. */
  event: string;
  /** Queue of the job. */
  queue: string;
  /** open, fired or over (its event can no longer happen); a later version may write more. */
  state: string;
  /** Id of the job once it is enqueued. */
  job_id: JobId | null;
  created_at: Instant | null;
  /** When the job was enqueued. */
  fired_at: Instant | null;
}

export interface Queue {
  queue: string;
  paused: boolean;
  total: number;
  /** Every known status, then unknown words. */
  by_status: Record<string, number>;
  /** Pending jobs that a worker may claim now. */
  ready: number;
  /** Pending jobs that are not due yet, or whose schedule is disabled. */
  scheduled: number;
  /** Pending jobs that wait for other jobs. */
  waiting: number;
  /** Time at which the first ready job became due. */
  oldest_pending_at: Instant | null;
  oldest_pending_seconds: number | null;
  /** Running workers that serve the queue, without Rust workers; null where workers are not recorded. */
  workers: number | null;
  paused_at: Instant | null;
  paused_by: string | null;
  paused_reason: string | null;
  /** The most jobs that run at once, in all workers. */
  limit_concurrency: number | null;
  /** The most jobs that start within a period, such as 10/s. */
  limit_rate: string | null;
  /** The key of payloads whose values have a limit each; null if all jobs share it. */
  limit_per: string | null;
  /** Whether its jobs are those of hammerwork itself: deliveries to webhooks. */
  internal: boolean;
}

/** A queue with its statistics. */
export interface QueueStats {
  /** Null for all. */
  queue: string | null;
  checked_at: Instant;
  total: number;
  /** Every known status, then unknown words. */
  by_status: Record<string, number>;
  /** Pending jobs that a worker may claim now. */
  ready: number;
  /** Pending jobs that are not due yet, or whose schedule is disabled. */
  scheduled: number;
  /** Pending jobs that wait for other jobs. */
  waiting: number;
  /** Time at which the first ready job became due. */
  oldest_pending_at: Instant | null;
  oldest_pending_seconds: number | null;
  paused_queues: string[];
  /** Length of the window; this key and those below only with --detailed. */
  window_seconds: number | null;
  /** Jobs that completed in the window. */
  completed: number | null;
  /** Jobs that failed in the window. */
  failed: number | null;
  failure_rate: number | null;
  completed_per_minute: number | null;
  /** Until the ready jobs have ended at the rate since the first one completed in the window. */
  backlog_seconds: number | null;
  /** Run time of the jobs that completed in the window. */
  p50_seconds: number | null;
  p95_seconds: number | null;
  /** Average run time of handlers, as measured by running workers. */
  mean_seconds: number | null;
  by_priority: {
    status: Status;
    priority: Priority;
    jobs: number;
  }[] | null;
}

export interface PauseChange {
  queue: string;
  /** Afterwards. */
  paused: boolean;
  changed: boolean;
  /** False may mean that the name is misspelled. */
  has_jobs: boolean;
  dry_run: boolean;
  paused_at: Instant | null;
  paused_by: string | null;
  reason: string | null;
}

export interface Worker {
  id: string;
  name: string;
  state: "running" | "stopping" | "stopped" | "silent" | "stalled" | "lost" | "unknown";
  host: string;
  pid: number;
  version: string;
  queues: string[];
  /** Spawn handlers. */
  handlers: string[];
  /** Duties that it was the last to take: schedules, workflows, retention. */
  duties: string[];
  /** Most jobs at once. */
  concurrency: number;
  /** Jobs now. */
  running: number;
  /** Slots whose handler has not returned although its attempt is over; null before 026. */
  held_slots: number | null;
  /** By how much its host's clock is ahead of the server's; negative if it is behind. */
  clock_ahead_seconds: number | null;
  /** Completed attempts since its start. */
  completed: number;
  /** Failed attempts since its start, retried ones included. */
  failed: number;
  /** Rate since its start. */
  jobs_per_minute: number | null;
  /** Memory of its process and those of its handlers; null except on Linux. */
  memory_bytes: number | null;
  /** Time without a heartbeat before others take over. */
  lease_seconds: number;
  /** Seconds since its last heartbeat, by the server's clock. */
  silent_seconds: number;
  started_at: Instant | null;
  heartbeat_at: Instant | null;
  ended_at: Instant | null;
  /** For how long its main loop has been stalled; null if it is not. */
  main_stalled_seconds: number | null;
  /** The same for the thread that writes outcomes. */
  finisher_stalled_seconds: number | null;
  /** Outcomes that it cannot write, and tries again. */
  unwritten_outcomes: number;
  /** For how long it has failed to; null if it has not. */
  unwritten_seconds: number | null;
  /** The last error. */
  unwritten_error: string | null;
  /** Seconds from its start to its last heartbeat. */
  up_seconds: number | null;
  /** The open request to it. */
  request: "stop" | "restart" | "unknown" | null;
  requested_by: string | null;
  /** Whether it only delivers to webhooks, beside a worker of yours. */
  internal: boolean;
}

export interface HealthCheck {
  check:
    | "database"
    | "migrations"
    | "workers"
    | "lost_workers"
    | "stalled_workers"
    | "stopping_workers"
    | "held_slots"
    | "unwritten_outcomes"
    | "unserved_queues"
    | "paused_queues"
    | "pending"
    | "pending_age"
    | "running_age"
    | "waiting_age"
    | "lost_jobs"
    | "unclaimed_jobs"
    | "overdue_jobs"
    | "overdue_schedules"
    | "growing_trees"
    | "retrying"
    | "failed"
    | "failure_rate"
    | "retention"
    | "webhooks"
    | "streams"
    | "clocks"
    | "times_in_the_future"
    | "worker"
    | "rows"
    | "dead_rows"
    | "invalid_indexes"
    | "open_transaction"
    | "writes"
    | "upkeep";
  status: HealthLevel;
  /** Null when there is nothing to measure. */
  value: number | null;
  /** Null without a limit. */
  limit: number | null;
  /** Unit of value and limit. */
  unit:
    | "seconds"
    | "migrations"
    | "workers"
    | "slots"
    | "outcomes"
    | "queues"
    | "jobs"
    | "trees"
    | "rate"
    | "policies"
    | "webhooks"
    | "streams"
    | "hosts"
    | "times"
    | "rows"
    | "indexes"
    | null;
  /** Queues, workers, jobs, webhooks and so on, the worst first. */
  about: string[];
  /** A sentence for people; its words may change. */
  message: string;
  /** The next step: a command, or a sentence after an error; null while it is healthy. */
  hint: string | null;
}

export interface HealthReport {
  /** The worst of the checks. */
  status: HealthLevel;
  checked_at: Instant;
  checks: HealthCheck[];
}

export interface Workflow {
  id: string;
  name: string;
  status: "running" | "completed" | "failed" | "cancelled" | "gone";
  failure_policy: "fail_fast" | "continue_on_failure" | "ignore_failures" | "manual";
  /** Whether a job has failed and the policy leaves the decision to people. */
  needs_decision: boolean;
  jobs: number;
  completed: number;
  /** Failed, Dead, TimedOut and Cancelled. */
  failed: number;
  running: number;
  /** Pending and Retrying. */
  pending: number;
  /** The part of pending that waits for other jobs. */
  waiting: number;
  created_at: Instant | null;
  /** When the last job ended; null while one is open. */
  ended_at: Instant | null;
  /** From its creation to its end. */
  seconds: number | null;
}

/** The jobs of a workflow, parents first, and what they wait for. */
export interface WorkflowGraph {
  id: string;
  name: string;
  /** Jobs that depend on no other job of it. */
  roots: JobId[];
  /** Parents first. */
  nodes: TreeJob[];
  edges: {
    from: JobId;
    to: JobId;
    /** spawn if the parent has a spawn configuration or has spawned. */
    type: "spawn" | "dependency";
  }[];
  /** Whether it has more jobs than were read. */
  truncated: boolean;
}

/** A job to enqueue. */
export interface NewJob {
  /** Its queue. */
  queue: string;
  /** Any JSON. */
  payload: unknown;
  priority?: Priority;
  /** Earliest start; RFC 3339. */
  scheduled_at?: Instant;
  /** Attempts until it is Dead; 3 by default. */
  max_attempts?: number;
  /** Time limit of an attempt. */
  timeout_seconds?: number | null;
  /** Jobs that must complete first; ids or their first digits. */
  depends_on?: JobId[];
  /** Its id; a second request with the same id changes nothing. */
  id?: JobId;
  trace_id?: string | null;
  correlation_id?: string | null;
  /** Lets the job spawn: these values, then those of the payload, then the defaults. */
  spawn_config?: SpawnConfig;
  /** True encrypts the payload, if the server has a key; false means plaintext, even beside encrypted jobs. */
  encrypt?: boolean;
  /** Unique key: while another job holds it, that one is the answer. */
  unique?: string;
  /** Time from the other job's enqueue in which it holds the key. */
  unique_within_seconds?: number;
  /** When the other job holds it; waiting and running by default. */
  unique_while?: string[];
}

export interface EnqueuedJob {
  id: JobId;
  queue: string;
  /** False when it existed already. */
  created: boolean;
  status: Status;
  priority: Priority;
  /** Null when the row holds an unreadable value. */
  scheduled_at: Instant | null;
  depends_on: JobId[];
  /** none, waiting, satisfied or failed, or an unknown word that the row holds. */
  dependency_status: string | null;
}

/** The version and settings of a server. */
export interface About {
  /** Version of the server. */
  version: string;
  /** Product and version of the database. */
  database: string;
  /** Whether the server refuses changes. */
  read_only: boolean;
  /** Whether payloads, results, errors and the like are hidden. */
  redacted: boolean;
}

/** The data of an event of the stream, by its type. */
export interface EventData {
  /** The first event: read now, answers from before may be out of date. */
  ready: {
    /** Whether the database answers. */
    reachable: boolean;
  };
  /** Jobs that are new or have changed. */
  jobs: {
    jobs: JobNode[];
  };
  /** A queue was paused or resumed. */
  queues: {
    reason: "pauses";
  };
  /** Read again: changes were left out. */
  reset: {
    reason: "too_many" | "too_large" | "too_slow";
  };
  /** The database went away or came back. */
  database: {
    /** Whether the database answers. */
    reachable: boolean;
  };
}

// To here.

export interface SpawnErrorFacts {
  status?: number;
  problem?: Record<string, unknown>;
  cause?: unknown;
}

/** A request that the server refused or that did not reach it. */
export class SpawnError extends Error {
  constructor(message: string, facts?: SpawnErrorFacts);
  name: "SpawnError";
  /** The HTTP status; 0 without an answer. */
  status: number;
  title: string;
  /** The failure, in a sentence. */
  detail: string;
  /** The next step. */
  hint: string | null;
  /** A stable code: `not_found`, `ambiguous_id`, ... */
  code: string | null;
  /** The complete `application/problem+json`. */
  problem: Record<string, unknown>;
}

export interface Cancellable {
  signal?: AbortSignal;
}

/**
 * One page of a list. Pass `cursor` to read the next page; it is `null` on the last one. `total` is the length of the
 * whole list if the server reports it, else `null`; `more` says whether there may be more.
 */
export type Page<Item> = Item[] & { cursor: string | null; total: number | null; more: boolean };

export class SpawnManager {
  /** @param baseUrl the server's address, `http://localhost:8080`; empty for the origin of the page. */
  constructor(baseUrl?: string, options?: { token?: string | null; timeout?: number | null; fetch?: typeof fetch });
  baseUrl: string;
  token: string | null;
  /** Milliseconds after which reading fails, with status 0; `null` for never. Changes and the stream have no such limit. */
  timeout: number | null;

  /** The tree of a job. `mermaid` and `dot` return text. */
  getSpawnTree(jobId: JobId, format?: "json", maxDepth?: number, options?: TreeOptions): Promise<SpawnTree>;
  getSpawnTree(jobId: JobId, format: "mermaid" | "dot", maxDepth?: number, options?: TreeOptions): Promise<string>;
  getSpawnTree(jobId: JobId, format: "nested", maxDepth?: number, options?: TreeOptions): Promise<unknown>;

  /** Statistics of the operations in the last `hours`, of some queues or (`null`) of all. */
  getSpawnStats(
    queue?: string | string[] | null,
    hours?: number,
    options?: { detailed?: boolean } & Cancellable,
  ): Promise<SpawnStats>;

  /** Operations, newest first. */
  getSpawnOperations(
    limit?: number,
    options?: ListOptions & {
      /** Only those whose parents were created before that long ago: `90s`, `15m`, `2h`, `7d`. */
      until?: string | null;
      /** Only those whose parents depend on no other job. */
      roots?: boolean;
      /** Only those with a failure at or anywhere below them, the newest failure first. */
      failed?: boolean;
      /** Only those without an operation above them, with counts of their whole trees. */
      topmost?: boolean;
    },
  ): Promise<Page<SpawnOperation>>;

  /** An operation by the ID of its parent or its operation ID, with its first children, failures first. */
  getSpawnOperation(id: string, options?: Cancellable): Promise<SpawnOperation & { jobs: TreeNode[] }>;

  /** The children of a job: the failed first, then those with failures below. */
  getChildren(
    jobId: JobId,
    options?: { depth?: number; failedBelow?: boolean; limit?: number } & Omit<ListOptions, "since">,
  ): Promise<Page<TreeNode>>;

  /** The children of a job, counted by queue, status and whether failures are below them, the worst first. */
  getChildGroups(jobId: JobId, options?: Cancellable): Promise<ChildGroup[]>;

  /** Counts of all jobs below a job. */
  getTreeCounts(jobId: JobId, options?: Cancellable): Promise<TreeCounts>;

  /** Ancestors, the farthest first, up to `depth` levels (default 1). */
  getParents(jobId: JobId, options?: { depth?: number } & Cancellable): Promise<Ancestor[]>;

  /** Asks a worker with the handler to spawn again for a finished job. */
  spawnAgain(jobId: JobId, handler?: string, config?: SpawnConfig): Promise<SpawnRequest>;

  getJob(jobId: JobId, options?: Cancellable): Promise<Job>;
  /** Jobs, newest first. */
  getJobs(limit?: number, options?: ListOptions): Promise<Page<ListedJob>>;
  /** Jobs that failed, the newest failure first. */
  getFailedJobs(limit?: number, options?: Pick<ListOptions, "queue" | "since" | "signal">): Promise<Page<ListedJob>>;
  enqueue(job: NewJob): Promise<EnqueuedJob>;
  /** Retries a failed job; with `tree`, its failed descendants too. */
  retryJob(jobId: JobId, options?: ChangeOptions & { respawn?: boolean; cancelled?: boolean; now?: boolean }): Promise<Outcome>;
  /** Cancels a job that has not started; with `tree`, its descendants too. */
  cancelJob(jobId: JobId, options?: ChangeOptions & { reason?: string }): Promise<Outcome>;

  getQueues(options?: Cancellable): Promise<Queue[]>;
  /** A queue with its statistics of the last hour. */
  getQueue(name: string, options?: Cancellable): Promise<QueueStats>;
  pauseQueue(name: string, reason?: string | null): Promise<PauseChange>;
  resumeQueue(name: string): Promise<PauseChange>;
  /** Workflows, newest first; `status` is one or more of theirs, separated by commas: `running,failed`. */
  getWorkflows(limit?: number, options?: Omit<ListOptions, "queue"> & { name?: string | null }): Promise<Page<Workflow>>;
  /** A workflow with its queues and errors. */
  getWorkflow(workflowId: string, options?: Cancellable): Promise<Workflow & Record<string, unknown>>;
  getWorkflowGraph(workflowId: string, options?: Cancellable): Promise<WorkflowGraph>;
  /** Retries the failed jobs of a workflow, which runs again. */
  retryWorkflow(workflowId: string, options?: { cancelled?: boolean; now?: boolean; dryRun?: boolean }): Promise<Outcome>;
  /** Cancels the jobs of a workflow that have not started. */
  cancelWorkflow(
    workflowId: string,
    options?: { force?: boolean; reason?: string; dryRun?: boolean },
  ): Promise<Outcome>;
  getWorkers(options?: Cancellable): Promise<Worker[]>;
  /** What is wrong now, as `monitor health` says it. The server keeps an answer for two seconds, and for longer if it took long. */
  getHealth(options?: Cancellable): Promise<HealthReport>;
  /** The version and settings of the server. */
  getAbout(options?: Cancellable): Promise<About>;

  /**
   * Calls `callback` with each change until you call the returned function. Reconnects when the stream breaks, after
   * a pause that grows to 30 seconds.
   */
  subscribe(callback: (event: SpawnEvent) => void, options?: SubscribeOptions): () => void;
}

export interface ChangeOptions {
  tree?: boolean;
  /** Lifts the safety checks, as --force does on the command line. */
  force?: boolean;
  /** Returns the plan without changing anything. */
  dryRun?: boolean;
}

export interface TreeOptions extends Cancellable {
  /** The maximum number of jobs; failures come first. */
  maxNodes?: number;
  /** Returns `spawn_config` in full. */
  includeConfig?: boolean;
  /** Returns the job and its descendants instead of its whole tree. */
  childrenOnly?: boolean;
}

export interface ListOptions extends Cancellable {
  /** The cursor of the previous page. */
  cursor?: string | null;
  /** The name of a queue, or of several. */
  queue?: string | string[] | null;
  /** One or more, separated by commas: `Failed,Dead,TimedOut`. */
  status?: string | null;
  /** `90s`, `15m`, `2h`, `7d`, or a time: `2026-12-24T18:00Z`. */
  since?: string | null;
}

export interface SubscribeOptions {
  /** Only changes of this queue, or of these. */
  queue?: string | string[];
  /** Only changes of the tree below this job. */
  root?: JobId;
  /** Receives "open" when the stream is connected, and a SpawnError when it breaks or cannot be opened. */
  onState?: (state: "open" | SpawnError) => void;
}
