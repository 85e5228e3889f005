/** An id in full, `550e8400-e29b-41d4-a716-446655440000`; where a job is asked for, a unique beginning of it serves. */
export type JobId = string;
/** RFC 3339 in UTC. */
export type Instant = string;
export type Status =
  | "Pending"
  | "Running"
  | "Completed"
  | "Failed"
  | "Dead"
  | "TimedOut"
  | "Retrying"
  | "Archived"
  /** A word that the row holds and nobody knows. */
  | (string & {});
export type Priority = "background" | "low" | "normal" | "high" | "critical";

/** What a payload carries as `_spawn_config`, as it is stored. */
export interface SpawnConfig {
  max_spawn_count?: number | null;
  inherit_priority?: boolean;
  inherit_retry_strategy?: boolean;
  inherit_timeout?: boolean;
  inherit_trace_context?: boolean;
  operation_id?: string | null;
  handler?: string | null;
  [key: string]: unknown;
}

export interface ChildCounts {
  total: number;
  completed: number;
  /** Failed, Dead and TimedOut. */
  failed: number;
  running: number;
  /** Pending and Retrying. */
  pending: number;
}

/** A job as trees and lists show it. */
export interface JobNode {
  id: JobId;
  queue: string;
  status: Status;
  priority: Priority;
  depends_on: string[];
  has_spawn_config: boolean;
  spawn_config: SpawnConfig | null;
  operation_id: string | null;
  created_at: Instant | null;
  started_at: Instant | null;
  completed_at: Instant | null;
  failed_at: Instant | null;
  /** Its first 500 characters. */
  error: string | null;
  workflow_id: string | null;
  workflow_name: string | null;
  archived_at: Instant | null;
}

export interface TreeNode extends JobNode {
  /** Levels below its root. */
  depth: number;
  /** How many children it has, shown or not. */
  children: number;
}

/** `format=json`: nodes parents first. */
export interface SpawnTree {
  schema_version: 1;
  roots: JobId[];
  target: JobId;
  truncated: boolean;
  nodes: TreeNode[];
  edges: { from: JobId; to: JobId; type: "spawn" | "dependency" }[];
}

export interface Relative {
  id: JobId;
  queue: string | null;
  status: Status | null;
  error: string | null;
}

/** Everything that is known of one job. */
export interface Job extends JobNode {
  attempts: number;
  max_attempts: number;
  dependency_status: string | null;
  scheduled_at: Instant | null;
  in_archive: boolean;
  payload: unknown;
  result: unknown;
  parents: Relative[];
  children: ChildCounts & { first: Relative[] };
  [fact: string]: unknown;
}

export interface SpawnOperation {
  parent_id: JobId;
  queue: string;
  status: Status;
  priority: Priority;
  children: ChildCounts;
  /** 0 to 1, among the children that ended. */
  success_rate: number | null;
  spawned_at: Instant | null;
  finished_at: Instant | null;
  wall_time_seconds: number | null;
  operation_id: string | null;
  handler: string | null;
  spawn_config: SpawnConfig | null;
  workflow_id: string | null;
  workflow_name: string | null;
  created_at: Instant | null;
  completed_at: Instant | null;
}

export interface SpawnFigures {
  operations: number;
  children: number;
  /** Children an operation. */
  average: number | null;
  largest: number;
  completed: number;
  ended: number;
  success_rate: number | null;
}

export interface SpawnStats extends SpawnFigures {
  since: Instant | null;
  queue: string | null;
  empty: number;
  recent: number;
  depth: number;
  p50_seconds: number | null;
  p95_seconds: number | null;
  by_queue: (SpawnFigures & { name: string | null })[] | null;
  by_handler: (SpawnFigures & { name: string | null })[] | null;
  slowest: SpawnOperation[] | null;
}

export interface Queue {
  queue: string;
  paused: boolean;
  total: number;
  by_status: Record<string, number>;
  ready: number;
  scheduled: number;
  waiting: number;
  oldest_pending_at: Instant | null;
  oldest_pending_seconds: number | null;
  paused_at: Instant | null;
  paused_by: string | null;
  paused_reason: string | null;
}

/**
 * What the stream tells.
 *
 * - `ready`: it stands; what was asked for before may be old.
 * - `jobs`: jobs that are new or changed.
 * - `queues`: a queue was paused or resumed.
 * - `reset`: more changed than is told; ask anew.
 * - `database`: the server lost its database, or has it back.
 */
export type SpawnEvent = { id: string | null } & (
  | { type: "ready" | "database"; data: { reachable: boolean } }
  | { type: "jobs"; data: { jobs: JobNode[] } }
  | { type: "queues" | "reset"; data: { reason: string } }
);

export interface SpawnErrorFacts {
  status?: number;
  problem?: Record<string, unknown>;
  cause?: unknown;
}

export interface PauseChange {
  queue: string;
  /** Afterwards. */
  paused: boolean;
  changed: boolean;
  /** Where it has none, its name may be mistyped. */
  has_jobs: boolean;
  reason: string | null;
  [fact: string]: unknown;
}

export interface NewJob {
  queue: string;
  payload: unknown;
  priority?: Priority;
  scheduled_at?: Instant;
  max_attempts?: number;
  timeout_seconds?: number | null;
  depends_on?: JobId[];
  /** A second request with the same id changes nothing. */
  id?: JobId;
  trace_id?: string | null;
  correlation_id?: string | null;
  /** The job spawns; what is left out has its default. */
  spawn_config?: SpawnConfig;
}

export interface SpawnRequest {
  id: string;
  job_id: JobId;
  handler: string | null;
  state: string;
  [fact: string]: unknown;
}

export interface Worker {
  id: string;
  name: string;
  state: "running" | "stopping" | "stopped" | "silent" | "lost";
  host: string;
  pid: number;
  queues: string[];
  handlers: string[];
  concurrency: number;
  running: number;
  completed: number;
  failed: number;
  jobs_per_minute: number | null;
  /** Since its last heartbeat. */
  silent_seconds: number;
  [fact: string]: unknown;
}

/** What the server, or the way to it, had against a request. */
export class SpawnError extends Error {
  constructor(message: string, facts?: SpawnErrorFacts);
  name: "SpawnError";
  /** The HTTP status; 0 when no answer came. */
  status: number;
  title: string;
  /** What happened, in a sentence. */
  detail: string;
  /** What to do next. */
  hint: string | null;
  /** A stable word: `not_found`, `ambiguous_id`, ... */
  code: string | null;
  /** The whole `application/problem+json`. */
  problem: Record<string, unknown>;
}

export interface Cancellable {
  signal?: AbortSignal;
}

/** A list that may go on: `cursor` asks for the next page, `null` when there is none. */
export type Page<Item> = Item[] & { cursor: string | null };

export class SpawnManager {
  /** @param baseUrl where the server is, `http://localhost:8080`; the page's own origin when empty. */
  constructor(baseUrl?: string, options?: { token?: string | null; fetch?: typeof fetch });
  baseUrl: string;
  token: string | null;

  /** The tree that a job belongs to. `mermaid` and `dot` come as text. */
  getSpawnTree(jobId: JobId, format?: "json", maxDepth?: number, options?: TreeOptions): Promise<SpawnTree>;
  getSpawnTree(jobId: JobId, format: "mermaid" | "dot", maxDepth?: number, options?: TreeOptions): Promise<string>;
  getSpawnTree(jobId: JobId, format: "nested", maxDepth?: number, options?: TreeOptions): Promise<unknown>;

  /** Figures of the operations of the last `hours`, of one queue or (`null`) of all. */
  getSpawnStats(
    queue?: string | null,
    hours?: number,
    options?: { detailed?: boolean } & Cancellable,
  ): Promise<SpawnStats>;

  /** Jobs that spawned, newest first. */
  getSpawnOperations(limit?: number, options?: ListOptions): Promise<Page<SpawnOperation>>;

  /** One of them by its job's id or its operation id, with its first children, failures first. */
  getSpawnOperation(id: string, options?: Cancellable): Promise<SpawnOperation & { jobs: TreeNode[] }>;

  /** The jobs that depend on a job, failures first. */
  getChildren(
    jobId: JobId,
    options?: { depth?: number; limit?: number } & Omit<ListOptions, "since">,
  ): Promise<Page<TreeNode>>;

  /** The jobs that depend on a job, counted by queue and status, failures first. */
  getChildGroups(jobId: JobId, options?: Cancellable): Promise<{ queue: string; status: Status; jobs: number }[]>;

  /** Ancestors, the farthest first, `depth` levels upward (1 when not given). */
  getParents(jobId: JobId, options?: { depth?: number } & Cancellable): Promise<(JobNode & { distance: number })[]>;

  /** Asks a worker that has the handler to spawn for a finished job again. */
  spawnAgain(jobId: JobId, handler?: string, config?: SpawnConfig): Promise<SpawnRequest>;

  getJob(jobId: JobId, options?: Cancellable): Promise<Job>;
  /** Jobs, newest first. */
  getJobs(limit?: number, options?: ListOptions): Promise<Page<JobNode>>;
  enqueue(job: NewJob): Promise<{ id: JobId; created: boolean; status: Status; [fact: string]: unknown }>;
  /** A failed job runs again; with `tree`, everything below it that failed. */
  retryJob(jobId: JobId, options?: ChangeOptions & { respawn?: boolean }): Promise<Outcome>;
  /** A job that has not started fails instead; with `tree`, everything below it. */
  cancelJob(jobId: JobId, options?: ChangeOptions & { reason?: string }): Promise<Outcome>;

  getQueues(options?: Cancellable): Promise<Queue[]>;
  /** Its figures of the last hour. */
  getQueue(name: string, options?: Cancellable): Promise<Record<string, unknown>>;
  pauseQueue(name: string, reason?: string | null): Promise<PauseChange>;
  resumeQueue(name: string): Promise<PauseChange>;
  getWorkers(options?: Cancellable): Promise<Worker[]>;
  /** How the server was started. */
  getAbout(
    options?: Cancellable,
  ): Promise<{ version: string; database: string; read_only: boolean; redacted: boolean }>;

  /**
   * Calls `callback` with each change, until the function that is returned is called. A stream that breaks is made
   * anew, after a pause that grows to half a minute.
   */
  subscribe(callback: (event: SpawnEvent) => void, options?: SubscribeOptions): () => void;
}

export interface ChangeOptions {
  tree?: boolean;
  /** Also what is refused otherwise, as with the command's --force. */
  force?: boolean;
  /** Only says what would be done. */
  dryRun?: boolean;
}

/** What became of jobs that were to be changed. */
export interface Outcome {
  action: string;
  dry_run: boolean;
  changed: number;
  /** Dependents that were changed along. */
  followed: number;
  /** Jobs that were left, by reason. */
  left: Record<string, number>;
  /** `null` for one job by its id. */
  plan: { queue: string; status: Status; jobs: number; changes: boolean }[] | null;
}

export interface TreeOptions extends Cancellable {
  /** The most jobs to read; failures come first when there are more. */
  maxNodes?: number;
  /** Whether `spawn_config` comes whole. */
  includeConfig?: boolean;
  /** Only the part below the job, not the whole tree that it belongs to. */
  childrenOnly?: boolean;
}

export interface ListOptions extends Cancellable {
  /** Of the page before. */
  cursor?: string | null;
  queue?: string | null;
  /** One or several with commas: `Failed,Dead,TimedOut`. */
  status?: string | null;
  /** `90s`, `15m`, `2h`, `7d`. */
  since?: string | null;
}

export interface SubscribeOptions {
  /** Only changes of this queue. */
  queue?: string;
  /** Only changes of the tree below this job. */
  root?: JobId;
  /** Hears "open" when the stream stands, and a SpawnError when it broke or could not be had. */
  onState?: (state: "open" | SpawnError) => void;
}
