import assert from "node:assert/strict";
import { test } from "node:test";
import { News } from "../../../hammerwork_cli/web/static/page/news.js";
import { job } from "./making.js";

test("changed jobs name their parents", () => {
  const news = new News();
  news.add({ type: "jobs", data: { jobs: [job("a", { depends_on: ["root"] }), job("b", { depends_on: ["root", "other"] })] } });
  news.add({ type: "jobs", data: { jobs: [job("c", { depends_on: ["third"] })] } });
  assert.deepEqual(news.take(), { parents: new Set(["root", "other", "third"]), figures: false });
});

test("after a reset or a new connection everything is read again", () => {
  for (const type of /** @type {const} */ (["reset", "ready"])) {
    const news = new News();
    news.add({ type: "jobs", data: { jobs: [job("a", { depends_on: ["root"] })] } });
    news.add(type === "reset" ? { type, data: { reason: "too_many" } } : { type, data: { reachable: true } });
    assert.deepEqual(news.take(), { parents: null, figures: false });
  }
});

test("a pause, and a database that comes back, need the figures at once", () => {
  const news = new News();
  news.add({ type: "queues", data: { reason: "pauses" } });
  assert.deepEqual(news.take(), { parents: null, figures: true });
  news.add({ type: "database", data: { reachable: true } });
  assert.deepEqual(news.take(), { parents: null, figures: true });
});

test("polling reads everything again", () => {
  const news = new News();
  news.addEverything();
  assert.deepEqual(news.take(), { parents: null, figures: false });
});

test("news are taken once", () => {
  const news = new News();
  news.add({ type: "queues", data: { reason: "pauses" } });
  news.take();
  assert.deepEqual(news.take(), { parents: new Set(), figures: false });
});
