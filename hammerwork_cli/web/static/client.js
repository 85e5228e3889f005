/**
 * A client of hammerwork's web API, for browsers and Node 18 or newer. It needs nothing else.
 *
 *     import { SpawnManager } from "http://localhost:8080/client.js";
 *
 *     const spawns = new SpawnManager("http://localhost:8080");
 *     const tree = await spawns.getSpawnTree("550e8400-e29b-41d4-a716-446655440000");
 *
 * Types are in client.d.ts. Answers are what the command line prints with --format json.
 */

/** What the server, or the way to it, had against a request. */
export class SpawnError extends Error {
  /**
   * @param {string} message what went wrong, for a person
   * @param {{status?: number, problem?: object, cause?: unknown}} [facts]
   */
  constructor(message, { status = 0, problem = {}, cause } = {}) {
    super(message, { cause });
    this.name = "SpawnError";
    /** The HTTP status; 0 when no answer came. */
    this.status = status;
    /** The whole `application/problem+json`. */
    this.problem = problem;
    this.title = problem.title ?? "";
    this.detail = problem.detail ?? message;
    this.hint = problem.hint ?? null;
    this.code = problem.code ?? null;
  }
}

const RETRY_FIRST_MS = 1000;
const RETRY_LONGEST_MS = 30000;

export class SpawnManager {
  /**
   * @param {string} [baseUrl] where the server is; "" for the page's own
   * @param {{token?: string | null, fetch?: typeof fetch}} [options]
   */
  constructor(baseUrl = "", { token = null, fetch: fetcher } = {}) {
    this.baseUrl = baseUrl.replace(/\/+$/, "");
    this.token = token;
    this._fetch = fetcher ?? ((...request) => fetch(...request));
  }

  // Spawning.

  async getSpawnTree(jobId, format = "json", maxDepth = 10, options = {}) {
    const { maxNodes, includeConfig, childrenOnly, signal } = options;
    const limits = { max_depth: maxDepth, max_nodes: maxNodes };
    const query = { format, ...limits, include_config: includeConfig, children_only: childrenOnly };
    return this._get(`/api/jobs/${segment(jobId)}/spawn-tree`, query, signal);
  }

  async getSpawnStats(queue = null, hours = 24, { detailed, signal } = {}) {
    return this._get("/api/spawn/stats", { queue, hours, detailed }, signal);
  }

  async getSpawnOperations(limit = 50, { cursor, queue, status, since, signal } = {}) {
    return this._get("/api/spawn/operations", { limit, cursor, queue, status, since }, signal);
  }

  async getSpawnOperation(jobId, { signal } = {}) {
    return this._get(`/api/spawn/operations/${segment(jobId)}`, {}, signal);
  }

  async getChildren(jobId, { queue, status, depth, limit, cursor, signal } = {}) {
    return this._get(`/api/jobs/${segment(jobId)}/children`, { queue, status, depth, limit, cursor }, signal);
  }

  async getChildGroups(jobId, { signal } = {}) {
    return this._get(`/api/jobs/${segment(jobId)}/child-groups`, {}, signal);
  }

  async getParents(jobId, { depth, signal } = {}) {
    return this._get(`/api/jobs/${segment(jobId)}/parent`, { depth }, signal);
  }

  async spawnAgain(jobId, handler, config) {
    return this._post(`/api/jobs/${segment(jobId)}/spawn`, { handler, config });
  }

  // Jobs, queues and workers.

  async getJob(jobId, { signal } = {}) {
    return this._get(`/api/jobs/${segment(jobId)}`, {}, signal);
  }

  async getJobs(limit = 50, { cursor, queue, status, since, signal } = {}) {
    return this._get("/api/jobs", { limit, cursor, queue, status, since }, signal);
  }

  async enqueue(job) {
    return this._post("/api/jobs", job);
  }

  async retryJob(jobId, { tree, force, respawn, dryRun } = {}) {
    return this._post(`/api/jobs/${segment(jobId)}/retry`, { tree, force, respawn, dry_run: dryRun });
  }

  async cancelJob(jobId, { tree, force, reason, dryRun } = {}) {
    return this._post(`/api/jobs/${segment(jobId)}/cancel`, { tree, force, reason, dry_run: dryRun });
  }

  async getQueues({ signal } = {}) {
    return this._get("/api/queues", {}, signal);
  }

  async getQueue(name, { signal } = {}) {
    return this._get(`/api/queues/${segment(name)}`, {}, signal);
  }

  async pauseQueue(name, reason = null) {
    return this._post(`/api/queues/${segment(name)}/pause`, reason === null ? undefined : { reason });
  }

  async resumeQueue(name) {
    return this._post(`/api/queues/${segment(name)}/resume`);
  }

  async getWorkers({ signal } = {}) {
    return this._get("/api/workers", {}, signal);
  }

  async getAbout({ signal } = {}) {
    return this._get("/api/about", {}, signal);
  }

  // Changes.

  /**
   * Calls `callback` with each change until the returned function is called. Connects again by itself.
   *
   * `onState` hears "open" when the stream stands and a SpawnError when it broke or could not be had.
   */
  subscribe(callback, { queue, root, onState = () => {} } = {}) {
    const stopping = new AbortController();
    this._follow(callback, onState, { queue, root }, stopping.signal);
    return () => stopping.abort();
  }

  async _follow(callback, onState, query, signal) {
    let pause = RETRY_FIRST_MS;
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
        throw new SpawnError("The stream of events ended.");
      } catch (error) {
        if (signal.aborted) return;
        onState(error instanceof SpawnError ? error : unreachable(error));
        // Nothing that is wrong with the request goes away by asking again; a lost server comes back.
        if (error.status >= 400 && error.status < 500 && error.status !== 429) return;
      }
      await sleep(pause, signal);
      pause = Math.min(pause * 2, RETRY_LONGEST_MS);
    }
  }

  // Requests.

  async _get(path, query, signal) {
    return content(await this._send(path, query, { signal }));
  }

  async _post(path, body) {
    const given = body === undefined ? {} : { body: JSON.stringify(body) };
    const headers = body === undefined ? {} : { "Content-Type": "application/json" };
    // Without a token the server asks changes for its own origin. Browsers send theirs, whatever stands here.
    if (URL.canParse(this.baseUrl)) headers.Origin = new URL(this.baseUrl).origin;
    return content(await this._send(path, {}, { method: "POST", headers, ...given }));
  }

  async _send(path, query, init) {
    const headers = { Accept: "application/json, text/*;q=0.9", ...init.headers };
    if (this.token) headers.Authorization = `Bearer ${this.token}`;
    let response;
    try {
      response = await this._fetch(`${this.baseUrl}${path}${search(query)}`, { ...init, headers });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw unreachable(error);
    }
    if (!response.ok) throw await refusal(response);
    return response;
  }
}

const segment = (text) => encodeURIComponent(text);

function search(query) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null);
  return given.length ? `?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}` : "";
}

const isJson = (response) => /^application\/([\w.-]+\+)?json\b/.test(response.headers.get("Content-Type") ?? "");

async function content(response) {
  if (response.status === 204) return null;
  if (!isJson(response)) return response.text();
  const answer = await response.json();
  // A list stays a list for whoever prints or copies it.
  if (Array.isArray(answer)) Object.defineProperty(answer, "cursor", { value: response.headers.get("Next-Cursor") });
  return answer;
}

async function refusal(response) {
  let problem = {};
  if (isJson(response)) problem = (await response.json().catch(() => null)) ?? {};
  const message = problem.detail ?? problem.title ?? `The server answered ${response.status}.`;
  return new SpawnError(message, { status: response.status, problem });
}

const unreachable = (cause) => new SpawnError("The server cannot be reached.", { cause });

function parsed(data) {
  try {
    return JSON.parse(data);
  } catch {
    return data;
  }
}

function sleep(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}

/** The events of a stream, as the HTML standard says to read them. Comments come as events without data. */
async function* eventsOf(body) {
  let fields = {};
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

async function* linesOf(body) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      rest += decoder.decode(value, { stream: true });
      // A carriage return at the end may be half of a line break.
      const lines = rest.split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop();
      yield* lines;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
