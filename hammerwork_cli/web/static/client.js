/**
 * A client for hammerwork's web API, for browsers and Node 18 or newer, without dependencies.
 *
 *     import { SpawnManager } from "http://localhost:8080/client.js";
 *
 *     const spawns = new SpawnManager("http://localhost:8080");
 *     const tree = await spawns.getSpawnTree("550e8400-e29b-41d4-a716-446655440000");
 *
 * The types are in client.d.ts. Answers have the form that the command line prints with --format json.
 */

/** @typedef {import("./client.js").SpawnManager} Client */
/** @typedef {import("./client.js").SpawnError} Failure */
/** @typedef {Record<string, string | string[] | number | boolean | null | undefined>} Query */

/**
 * A request that the server refused or that did not reach it.
 *
 * @implements {Failure}
 */
export class SpawnError extends Error {
  /**
   * @param {string} message the failure, in a sentence for people
   * @param {{status?: number, problem?: Record<string, any>, cause?: unknown}} [facts]
   */
  constructor(message, { status = 0, problem = {}, cause } = {}) {
    super(message, { cause });
    /** @type {"SpawnError"} */
    this.name = "SpawnError";
    /** The HTTP status; 0 without an answer. */
    this.status = status;
    /** The complete `application/problem+json`. */
    this.problem = problem;
    this.title = problem.title ?? "";
    this.detail = problem.detail ?? message;
    this.hint = problem.hint ?? null;
    this.code = problem.code ?? null;
  }
}

const RETRY_FIRST_MS = 1000;
const RETRY_LONGEST_MS = 30000;
/** The server sends something every 15 seconds. A connection that was lost on the way may stay open. */
const LONGEST_SILENCE_MS = 45000;

/** @implements {Client} */
export class SpawnManager {
  /**
   * @param {string} [baseUrl] the server's address; "" for the origin of the page
   * @param {{token?: string | null, timeout?: number | null, fetch?: typeof fetch}} [options]
   */
  constructor(baseUrl = "", { token = null, timeout = null, fetch: fetcher } = {}) {
    this.baseUrl = baseUrl.replace(/\/+$/, "");
    this.token = token;
    this.timeout = timeout;
    this._fetch = fetcher ?? ((...request) => fetch(...request));
  }

  // Spawning.

  /**
   * @param {import("./client.js").JobId} jobId
   * @param {"json" | "mermaid" | "dot" | "nested"} [format]
   * @param {number} [maxDepth]
   * @param {import("./client.js").TreeOptions} [options]
   * @returns {Promise<any>}
   */
  async getSpawnTree(jobId, format = "json", maxDepth = 10, options = {}) {
    const { maxNodes, includeConfig, childrenOnly, signal } = options;
    const limits = { max_depth: maxDepth, max_nodes: maxNodes };
    const query = { format, ...limits, include_config: includeConfig, children_only: childrenOnly };
    return this._get(`/api/jobs/${segment(jobId)}/spawn-tree`, query, signal);
  }

  /** @type {Client["getSpawnStats"]} */
  async getSpawnStats(queue = null, hours = 24, { detailed, signal } = {}) {
    return this._get("/api/spawn/stats", { queue, hours, detailed }, signal);
  }

  /** @type {Client["getSpawnOperations"]} */
  async getSpawnOperations(limit = 50, { signal, ...chosen } = {}) {
    const { cursor, queue, status, since, until, roots, failed, topmost } = chosen;
    const query = { limit, cursor, queue, status, since, until, roots, failed, topmost };
    return this._get("/api/spawn/operations", query, signal);
  }

  /** @type {Client["getSpawnOperation"]} */
  async getSpawnOperation(jobId, { signal } = {}) {
    return this._get(`/api/spawn/operations/${segment(jobId)}`, {}, signal);
  }

  /** @type {Client["getChildren"]} */
  async getChildren(jobId, { queue, status, depth, failedBelow, limit, cursor, signal } = {}) {
    const query = { queue, status, depth, failed_below: failedBelow, limit, cursor };
    return this._get(`/api/jobs/${segment(jobId)}/children`, query, signal);
  }

  /** @type {Client["getChildGroups"]} */
  async getChildGroups(jobId, { signal } = {}) {
    return this._get(`/api/jobs/${segment(jobId)}/child-groups`, {}, signal);
  }

  /** @type {Client["getTreeCounts"]} */
  async getTreeCounts(jobId, { signal } = {}) {
    return this._get(`/api/jobs/${segment(jobId)}/tree-counts`, {}, signal);
  }

  /** @type {Client["getParents"]} */
  async getParents(jobId, { depth, signal } = {}) {
    return this._get(`/api/jobs/${segment(jobId)}/parent`, { depth }, signal);
  }

  /** @type {Client["spawnAgain"]} */
  async spawnAgain(jobId, handler, config) {
    return this._post(`/api/jobs/${segment(jobId)}/spawn`, { handler, config });
  }

  // Jobs, queues and workers.

  /** @type {Client["getJob"]} */
  async getJob(jobId, { signal } = {}) {
    const source = await this._get(`/api/jobs/${segment(jobId)}`, {}, signal, (response) => response.text());
    // Not enumerable: a job still prints and copies as a plain object.
    return Object.defineProperty(JSON.parse(source), "source", { value: source });
  }

  /** @type {Client["getJobs"]} */
  async getJobs(limit = 50, { cursor, queue, status, since, signal } = {}) {
    return this._get("/api/jobs", { limit, cursor, queue, status, since }, signal);
  }

  /** @type {Client["getFailedJobs"]} */
  async getFailedJobs(limit = 50, { queue, since, signal } = {}) {
    return this._get("/api/failed-jobs", { limit, queue, since }, signal);
  }

  /** @type {Client["enqueue"]} */
  async enqueue(job) {
    return this._post("/api/jobs", job);
  }

  /** @type {Client["retryJob"]} */
  async retryJob(jobId, { tree, force, respawn, cancelled, now, dryRun } = {}) {
    return this._post(`/api/jobs/${segment(jobId)}/retry`, { tree, force, respawn, cancelled, now, dry_run: dryRun });
  }

  /** @type {Client["cancelJob"]} */
  async cancelJob(jobId, { tree, force, reason, dryRun } = {}) {
    return this._post(`/api/jobs/${segment(jobId)}/cancel`, { tree, force, reason, dry_run: dryRun });
  }

  /** @type {Client["getQueues"]} */
  async getQueues({ signal } = {}) {
    return this._get("/api/queues", {}, signal);
  }

  /** @type {Client["getQueue"]} */
  async getQueue(name, { signal } = {}) {
    return this._get(`/api/queues/${segment(name)}`, {}, signal);
  }

  /** @type {Client["pauseQueue"]} */
  async pauseQueue(name, reason = null) {
    return this._post(`/api/queues/${segment(name)}/pause`, reason === null ? undefined : { reason });
  }

  /** @type {Client["resumeQueue"]} */
  async resumeQueue(name) {
    return this._post(`/api/queues/${segment(name)}/resume`);
  }

  /** @type {Client["getWorkflows"]} */
  async getWorkflows(limit = 50, { cursor, name, status, since, signal } = {}) {
    return this._get("/api/workflows", { limit, cursor, name, status, since }, signal);
  }

  /** @type {Client["getWorkflow"]} */
  async getWorkflow(workflowId, { signal } = {}) {
    return this._get(`/api/workflows/${segment(workflowId)}`, {}, signal);
  }

  /** @type {Client["getWorkflowGraph"]} */
  async getWorkflowGraph(workflowId, { signal } = {}) {
    return this._get(`/api/workflows/${segment(workflowId)}/graph`, {}, signal);
  }

  /** @type {Client["retryWorkflow"]} */
  async retryWorkflow(workflowId, { cancelled, now, dryRun } = {}) {
    return this._post(`/api/workflows/${segment(workflowId)}/retry`, { cancelled, now, dry_run: dryRun });
  }

  /** @type {Client["cancelWorkflow"]} */
  async cancelWorkflow(workflowId, { force, reason, dryRun } = {}) {
    return this._post(`/api/workflows/${segment(workflowId)}/cancel`, { force, reason, dry_run: dryRun });
  }

  /** @type {Client["getWorkers"]} */
  async getWorkers({ signal } = {}) {
    return this._get("/api/workers", {}, signal);
  }

  /** @type {Client["getHealth"]} */
  async getHealth({ signal } = {}) {
    return this._get("/api/health", {}, signal);
  }

  /** @type {Client["getAbout"]} */
  async getAbout({ signal } = {}) {
    return this._get("/api/about", {}, signal);
  }

  // Changes.

  /**
   * Calls `callback` with each change until you call the returned function. Reconnects automatically.
   *
   * `onState` receives "open" when the stream is connected, and a SpawnError when it breaks or cannot be opened.
   *
   * @type {Client["subscribe"]}
   */
  subscribe(callback, { queue, root, onState = () => {} } = {}) {
    const stopping = new AbortController();
    this._follow(callback, onState, { queue, root }, stopping.signal);
    return () => stopping.abort();
  }

  /**
   * @param {(event: any) => void} callback
   * @param {NonNullable<import("./client.js").SubscribeOptions["onState"]>} onState
   * @param {Query} query
   * @param {AbortSignal} signal
   */
  async _follow(callback, onState, query, signal) {
    let pause = RETRY_FIRST_MS;
    /** @type {string | null} */
    let last = null;
    while (!signal.aborted) {
      try {
        const headers = { Accept: "text/event-stream", ...(last === null ? {} : { "Last-Event-ID": last }) };
        const response = await this._send("/api/events", query, { headers, signal, cache: "no-store" });
        onState("open");
        for await (const event of eventsOf(response.body)) {
          last = event.id ?? last;
          pause = event.retry ?? RETRY_FIRST_MS;
          if (event.data !== null && !signal.aborted) {
            callback({ type: event.type, id: event.id, data: parsed(event.data) });
          }
        }
        throw new SpawnError("The event stream ended.");
      } catch (error) {
        if (signal.aborted) return;
        const failure = asError(error);
        onState(failure);
        // Repeating a refused request does not help; a lost server comes back.
        if (failure.status >= 400 && failure.status < 500 && failure.status !== 429) return;
      }
      await sleep(pause, signal);
      pause = Math.min(pause * 2, RETRY_LONGEST_MS);
    }
  }

  // Requests.

  /**
   * @param {string} path
   * @param {Query} query
   * @param {AbortSignal} [signal]
   * @param {(response: Response) => Promise<any>} [take]
   */
  async _get(path, query, signal, take = content) {
    const ending = new AbortController();
    const stop = () => ending.abort(signal?.reason);
    if (signal?.aborted) stop();
    signal?.addEventListener("abort", stop, { once: true });
    const { timeout } = this;
    const late = new SpawnError(`The server did not answer within ${Number(timeout) / 1000} s.`);
    const timer = timeout === null ? undefined : setTimeout(() => ending.abort(late), timeout);
    try {
      return await take(await this._send(path, query, { signal: ending.signal }));
    } catch (error) {
      if (ending.signal.reason === late) throw late;
      // The connection may break, or the text end, after the headers have arrived.
      throw signal?.aborted ? error : asError(error);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
    }
  }

  /**
   * @param {string} path
   * @param {object} [body]
   */
  async _post(path, body) {
    const given = body === undefined ? {} : { body: JSON.stringify(body) };
    /** @type {Record<string, string>} */
    const headers = body === undefined ? {} : { "Content-Type": "application/json" };
    // Without a token the server accepts changes from its own origin only. Browsers overwrite this header.
    if (URL.canParse(this.baseUrl)) headers.Origin = new URL(this.baseUrl).origin;
    return content(await this._send(path, {}, { method: "POST", headers, ...given }));
  }

  /**
   * @param {string} path
   * @param {Query} query
   * @param {RequestInit} init
   */
  async _send(path, query, init) {
    /** @type {Record<string, any>} */
    const headers = { Accept: "application/json, text/*;q=0.9", ...init.headers };
    if (this.token) headers.Authorization = `Bearer ${this.token}`;
    let response;
    try {
      response = await this._fetch(`${this.baseUrl}${path}${search(query)}`, { ...init, headers });
    } catch (error) {
      if (error instanceof Error && error.name === "AbortError") throw error;
      throw unreachable(error);
    }
    if (!response.ok) throw await refusal(response);
    return response;
  }
}

/** @param {string} text */
const segment = (text) => encodeURIComponent(text);

/** @param {Query} query a comma separates queues, so one in a name is escaped */
function search(query) {
  const queue = [query.queue ?? []].flat().map((name) => String(name).replaceAll(",", "\\,"));
  const given = Object.entries({ ...query, queue })
    .flatMap(([name, value]) => [value ?? []].flat().map((one) => [name, String(one)]));
  return given.length ? `?${new URLSearchParams(given)}` : "";
}

/** @param {Response} response */
const isJson = (response) => /^application\/([\w.-]+\+)?json\b/.test(response.headers.get("Content-Type") ?? "");

/** @param {Response} response */
async function content(response) {
  if (response.status === 204) return null;
  if (!isJson(response)) return response.text();
  const answer = await response.json();
  return Array.isArray(answer) ? pageOf(answer, response.headers) : answer;
}

/**
 * @param {unknown[]} rows
 * @param {Headers} headers
 */
function pageOf(rows, headers) {
  const total = headers.get("Total-Count")?.match(/^(\d+)(\+?)$/);
  // Not enumerable: a list still prints and copies as a plain list.
  return Object.defineProperties(rows, {
    cursor: { value: headers.get("Next-Cursor") },
    total: { value: total ? Number(total[1]) : null },
    more: { value: total?.[2] === "+" },
  });
}

/** @param {Response} response */
async function refusal(response) {
  /** @type {Record<string, any>} */
  let problem = {};
  if (isJson(response)) problem = (await response.json().catch(() => null)) ?? {};
  const message = problem.detail ?? problem.title ?? `The server answered ${response.status}.`;
  return new SpawnError(message, { status: response.status, problem });
}

/** @param {unknown} cause */
const unreachable = (cause) => new SpawnError("The server cannot be reached.", { cause });

/** @param {unknown} error */
const asError = (error) => (error instanceof SpawnError ? error : unreachable(error));

/** @param {string} data */
function parsed(data) {
  try {
    return JSON.parse(data);
  } catch {
    return data;
  }
}

/**
 * @param {number} milliseconds
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
function sleep(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => resolve(clearTimeout(timer)), { once: true });
  });
}

/**
 * The events of a stream, parsed by the HTML standard. A comment yields an event without data.
 * @param {ReadableStream<Uint8Array> | null} body
 */
async function* eventsOf(body) {
  /** @type {{event?: string, data?: string, id?: string, retry?: number}} */
  let fields = {};
  if (body === null) return;
  for await (const line of linesOf(body)) {
    if (line === "") {
      yield { type: fields.event || "message", data: fields.data ?? null, id: fields.id ?? null, retry: fields.retry };
      fields = {};
      continue;
    }
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "data") fields.data = fields.data === undefined ? value : `${fields.data}\n${value}`;
    else if (name === "retry" && /^\d+$/.test(value)) fields.retry = Number(value);
    else if (name === "event" || name === "id") fields[name] = value;
  }
}

/**
 * The outcome of a promise; fails when that takes too long for an event stream.
 * @template Value
 * @param {Promise<Value>} promise
 * @returns {Promise<Value>}
 */
async function soon(promise) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const late = new Promise((/** @type {(value: never) => void} */ _, reject) => {
    timer = setTimeout(() => reject(new SpawnError("The event stream fell silent.")), LONGEST_SILENCE_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** @param {ReadableStream<Uint8Array>} body */
async function* linesOf(body) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await soon(reader.read());
      if (done) return;
      rest += decoder.decode(value, { stream: true });
      // A carriage return at the end may be half of a line break.
      const lines = rest.split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop() ?? "";
      yield* lines;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
