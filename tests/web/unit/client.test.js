import assert from "node:assert/strict";
import { test } from "node:test";
import { SpawnError, SpawnManager } from "../../../hammerwork_cli/web/static/client.js";

/** @type {typeof fetch} a server that never answers */
const silent = (_, init) =>
  new Promise((__, reject) => {
    const stop = () => reject(init?.signal?.reason);
    if (init?.signal?.aborted) stop();
    init?.signal?.addEventListener("abort", stop);
  });

test("reading fails after the time limit", async () => {
  const client = new SpawnManager("http://nowhere", { fetch: silent, timeout: 20 });
  await assert.rejects(client.getQueues(), (error) => {
    assert(error instanceof SpawnError);
    assert.deepEqual([error.status, error.detail], [0, "The server did not answer within 0.02 s."]);
    return true;
  });
});

test("a caller that gives up gets its own reason, with a time limit and without", async () => {
  for (const timeout of [null, 60_000]) {
    const client = new SpawnManager("http://nowhere", { fetch: silent, timeout });
    const giving = new AbortController();
    const asked = client.getJob("1234", { signal: giving.signal });
    giving.abort();
    await assert.rejects(asked, { name: "AbortError" });
    await assert.rejects(client.getQueues({ signal: giving.signal }), { name: "AbortError" });
  }
});

test("an answer that breaks off is an error of the client like any other", async () => {
  const headers = { "Content-Type": "application/json" };
  const client = new SpawnManager("http://here", { fetch: async () => new Response('[{"queue"', { headers }) });
  await assert.rejects(client.getQueues(), SpawnError);
});

test("several queues are asked for at once, and a comma in a name stays in it", async () => {
  /** @type {string[]} */
  const asked = [];
  /** @type {typeof fetch} */
  const told = async (url) => {
    asked.push(decodeURIComponent(String(url).replace("http://here", "")));
    return new Response("[]", { headers: { "Content-Type": "application/json" } });
  };
  const client = new SpawnManager("http://here", { fetch: told });
  await client.getJobs(5, { queue: ["mail", "a,b"], status: "Failed,Dead" });
  await client.getJobs(5, { queue: "a,b" });
  await client.getJobs(5, { queue: null });
  assert.deepEqual(asked, [
    "/api/jobs?limit=5&queue=mail&queue=a\\,b&status=Failed,Dead",
    "/api/jobs?limit=5&queue=a\\,b",
    "/api/jobs?limit=5",
  ]);
});

test("the number of a list is not enumerable", async () => {
  const headers = { "Content-Type": "application/json", "Total-Count": "2000+" };
  const client = new SpawnManager("http://here", { fetch: async () => new Response("[]", { headers }) });
  const page = await client.getSpawnOperations(1, { failed: true });
  assert.deepEqual([page.total, page.more, page.cursor, Object.keys(page)], [2000, true, null, []]);
});
