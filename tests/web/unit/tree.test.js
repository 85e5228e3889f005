import assert from "node:assert/strict";
import { test } from "node:test";
import { newList, newPlace, opens } from "../../../hammerwork_cli/web/static/page/tree/items.js";
import { rowsOf } from "../../../hammerwork_cli/web/static/page/tree/rows.js";
import { Tree } from "../../../hammerwork_cli/web/static/page/tree/tree.js";
import { rangeInView, ROW, scrolledTo } from "../../../hammerwork_cli/web/static/page/tree/viewport.js";
import { step } from "../../../hammerwork_cli/web/static/page/tree/walking.js";
import { clientWith, draw, job, pageOf } from "./making.js";

/** @import { ChildGroup } from "../../../hammerwork_cli/web/static/client.js" */
/** @import { TreeJob } from "../../../hammerwork_cli/web/static/page/tree/items.js" */

/**
 * A place that is open, with children in one list.
 * @param {TreeJob[]} jobs
 */
function family(jobs) {
  const root = newPlace(job("root", { children: jobs.length }), null, 0);
  const list = newList(root, { queue: null, status: null, jobs: jobs.length, failed_below: 0, more_failed_below: false }, 1);
  list.jobs = jobs.map((one, index) => newPlace(one, list, index + 2));
  list.open = true;
  root.lists = [list];
  root.open = true;
  return { root, list };
}

/** @param {ReturnType<typeof rowsOf>} rows */
const drawn = (rows) => rows.map((row) => `${row.level} ${row.kind} ${row.kind === "job" ? row.item.job.id : row.key}`);

/** @param {string} status @param {number} jobs @returns {ChildGroup} */
const group = (status, jobs) => ({ queue: "crop", status, jobs, failed_below: 0, more_failed_below: false });

/** @param {number} failed */
const counts = (failed) => ({ total: 3, completed: 3 - failed, failed, running: 0, pending: 0, retrying: 0, cancelled: 0 });

/**
 * A client for a tree: the children of each job.
 * @param {Record<string, TreeJob[]>} children
 */
function clientOf(children) {
  /** @type {string[]} */
  const calls = [];
  const client = clientWith({
    getChildGroups: async (id) => {
      calls.push(`groups ${id}`);
      /** @type {Map<string, ChildGroup>} */
      const groups = new Map();
      for (const { status, failed_below: below = 0 } of children[id] ?? []) {
        const key = `${status} ${below > 0}`;
        const known = groups.get(key) ?? { queue: "mail", status, jobs: 0, failed_below: 0, more_failed_below: false };
        groups.set(key, { ...known, jobs: known.jobs + 1, failed_below: known.failed_below + below });
      }
      return [...groups.values()];
    },
    getChildren: async (id, { status, failedBelow, limit = 100, cursor } = {}) => {
      calls.push(`children ${id}`);
      const from = Number(cursor ?? 0);
      const jobs = (children[id] ?? [])
        .filter((one) => !status || one.status === status)
        .filter((one) => failedBelow === undefined || failedBelow === Boolean(one.failed_below));
      const page = jobs.slice(from, from + limit).map((one) => ({ children: 0, child_counts: counts(0), ...one, depth: 1 }));
      return pageOf(page, from + limit < jobs.length ? String(from + limit) : null);
    },
  });
  return { client, calls };
}

// Rows.

test("children stand with failures first, then those with failures below, then the oldest", () => {
  const { root } = family([
    job("young", { created_at: "2026-03-02" }),
    job("old", { created_at: "2026-03-01", status: "Running" }),
    job("failing below", { created_at: "2026-03-03", child_counts: counts(1) }),
    job("dead", { created_at: "2026-03-04", status: "Dead" }),
  ]);
  assert.deepEqual(drawn(rowsOf(root)), ["1 job root", "2 job dead", "2 job failing below", "2 job old", "2 job young"]);
});

test("rows say their position among their siblings", () => {
  const { root, list } = family([job("a"), job("b")]);
  list.total = 7;
  assert.deepEqual(rowsOf(root).map(({ position, size }) => [position, size]), [[1, 1], [1, 7], [2, 7]]);
});

test("a closed place has one row", () => {
  const { root } = family([job("a")]);
  root.open = false;
  assert.deepEqual(drawn(rowsOf(root)), ["1 job root"]);
});

test("a list that goes on ends with a row that reads more, or with its error", () => {
  const { root, list } = family([job("a")]);
  list.cursor = "next";
  assert.deepEqual(drawn(rowsOf(root)), ["1 job root", "2 job a", "2 more root/*#more"]);
  list.error = new Error("lost");
  root.error = new Error("lost too");
  assert.deepEqual(drawn(rowsOf(root)), ["1 job root", "2 job a", "2 note root/*#note", "2 note root#note"]);
});

test("a large family folds into groups, which open by themselves when they are small and matter", () => {
  const root = newPlace(job("root", { children: 5000 }), null, 0);
  root.open = true;
  root.grouped = true;
  root.lists = [
    newList(root, group("Dead", 12), 1),
    newList(root, group("Running", 26), 2),
    newList(root, group("Completed", 3), 3),
    newList(root, { ...group("Completed", 3), failed_below: 1 }, 4),
  ];
  root.lists[0].jobs = [newPlace(job("a", { status: "Dead" }), root.lists[0], 5)];
  assert.deepEqual(root.lists.map((list) => list.open), [true, false, false, true]);
  assert.deepEqual(rowsOf(root).map(({ kind, level }) => [kind, level]), [["job", 1], ["group", 2], ["job", 3], ["group", 2], ["group", 2], ["group", 2]]);
});

test("a job that is its own ancestor does not open", () => {
  const { list } = family([job("a")]);
  assert.equal(opens(newPlace(job("root", { children: 5 }), list, 9)), false);
  assert.equal(opens(newPlace(job("b", { children: 5 }), list, 9)), true);
  assert.equal(opens(newPlace(job("b", { children: 0 }), list, 9)), false);
  assert.equal(opens(newPlace(job("b"), list, 9)), true);
  assert.equal(opens(list), true);
});

// Keys.

test("the arrow keys move, open and close", () => {
  const { root, list } = family([job("a", { children: 2 }), job("b", { children: 0 })]);
  const rows = rowsOf(root);
  const [first] = list.jobs;
  /** @param {string} key @param {number} at */
  const press = (key, at) => step(key, { rows, at, page: 10 });
  assert.deepEqual(press("ArrowDown", 0), { move: 1 });
  assert.deepEqual(press("ArrowDown", 2), { move: 2 });
  assert.deepEqual(press("ArrowUp", 0), { move: 0 });
  assert.deepEqual(press("PageDown", 0), { move: 2 });
  assert.deepEqual(press("PageUp", 2), { move: 0 });
  assert.deepEqual(press("End", 0), { move: 2 });
  assert.deepEqual(press("Home", 2), { move: 0 });
  assert.deepEqual(press("ArrowRight", 0), { move: 1 });
  assert.deepEqual(press("ArrowRight", 1), { open: first });
  assert.deepEqual(press("ArrowRight", 2), {});
  assert.deepEqual(press("ArrowLeft", 2), { move: 0 });
  assert.deepEqual(press("ArrowLeft", 0), { close: root });
  assert.deepEqual(press("Enter", 0), { close: root });
  assert.deepEqual(press(" ", 1), { open: first });
  assert.deepEqual(press("Enter", 2), {});
  assert.equal(press("x", 0), null);
});

test("Enter reads more where a list goes on", () => {
  const { root, list } = family([job("a")]);
  list.cursor = "next";
  const rows = rowsOf(root);
  assert.deepEqual(step("Enter", { rows, at: 2, page: 10 }), { readMore: list });
  assert.deepEqual(step("ArrowRight", { rows, at: 2, page: 10 }), {});
});

// The part in view.

test("only rows near the visible part are drawn", () => {
  assert.deepEqual(rangeInView(0, 280), { from: 0, to: 30 });
  assert.deepEqual(rangeInView(100 * ROW, 10 * ROW), { from: 90, to: 120 });
});

test("the pane scrolls no further than a row needs", () => {
  const pane = { scrollTop: 10 * ROW, clientHeight: 5 * ROW };
  assert.equal(scrolledTo(12, pane), 10 * ROW);
  assert.equal(scrolledTo(3, pane), 3 * ROW);
  assert.equal(scrolledTo(20, pane), 16 * ROW);
});

// Reading.

test("a tree opens its root, and the children with failures below", async () => {
  const { client, calls } = clientOf({
    root: [job("well", { children: 1 }), job("ailing", { children: 2, child_counts: counts(1) })],
    ailing: [job("dead", { status: "Dead" }), job("done")],
  });
  const tree = new Tree(client, draw, job("root", { children: 2 }));
  await tree.start();
  assert.deepEqual(drawn(tree.rows), ["1 job root", "2 job ailing", "3 job dead", "3 job done", "2 job well"]);
  assert.deepEqual(calls, ["groups root", "children root", "groups ailing", "children ailing"]);
});

/** A thousand jobs in families of ten, each below a job of a family of a hundred; two are dead, and one higher up. */
function deep() {
  const mids = [...Array(100).keys()].map((number) =>
    job(`mid ${number}`, { children: 10, failed_below: number < 2 ? 1 : 0, status: number === 2 ? "Dead" : "Completed" }),
  );
  mids.sort((one, other) => Number(other.status === "Dead") - Number(one.status === "Dead"));
  /** @type {Record<string, TreeJob[]>} */
  const children = { root: mids };
  for (const { id, failed_below: below } of mids) {
    children[id] = [...Array(10).keys()].map((number) => job(`${id}.${number}`, { status: below && number === 0 ? "Dead" : "Completed" }));
  }
  return children;
}

test("a large family opens down to its first failure, at any depth, and the other jobs stay folded", async () => {
  const children = deep();
  children.root = children.root.filter((one) => one.status !== "Dead");
  const { client } = clientOf(children);
  const tree = new Tree(client, draw, job("root", { children: 99 }));
  await tree.start();
  const shown = tree.rows.map((row) => (row.kind === "job" ? row.item.job.id : row.kind === "group" ? `×${row.item.total}` : row.kind));
  assert.deepEqual(shown.slice(0, 4), ["root", "×2", "mid 0", "mid 0.0"]);
  assert.equal(shown.at(-1), "×97");
});

test("next failure goes from one failed job to the next on any level, reads what is needed for it, and starts over", async () => {
  const { client, calls } = clientOf(deep());
  const tree = new Tree(client, draw, job("root", { children: 100 }));
  await tree.start();
  const seen = [];
  /** @type {string | undefined} */
  let key = tree.root.key;
  for (let times = 0; times < 4; times += 1) {
    const row = await tree.nextFailure(key);
    assert.ok(row?.kind === "job");
    key = row.key;
    seen.push(row.item.job.id);
  }
  assert.deepEqual(seen, ["mid 2", "mid 0.0", "mid 1.0", "mid 2"]);
  assert.ok(calls.length < 20);
});

test("next failure reads the next page of failed jobs, and ends where there are none", async () => {
  const jobs = [...Array(130).keys()].map((number) => job(`job ${number}`, { status: number < 120 ? "Dead" : "Completed" }));
  const { client } = clientOf({ root: jobs });
  const tree = new Tree(client, draw, job("root", { children: 130 }));
  await tree.start();
  await tree.open(tree.root.lists[0]);
  const last = tree.root.lists[0].jobs[99];
  const row = await tree.nextFailure(last.key);
  assert.ok(row?.kind === "job" && row.item.job.id === "job 100");

  const well = new Tree(clientOf({ root: [job("a")] }).client, draw, job("root", { children: 1 }));
  await well.start();
  assert.equal(await well.nextFailure(undefined), undefined);
});

test("more than 25 children are grouped by queue and status, failures first", async () => {
  const jobs = [...Array(240).keys()].map((number) => job(`job ${number}`, { status: number < 2 ? "Dead" : "Completed" }));
  const { client } = clientOf({ root: jobs });
  const tree = new Tree(client, draw, job("root", { children: 240 }));
  await tree.start();
  assert.deepEqual(tree.rows.map(({ kind }) => kind), ["job", "group", "job", "job", "group"]);

  const [, completed] = tree.root.lists;
  await tree.open(completed);
  assert.equal(tree.rows.filter(({ kind }) => kind === "job").length, 103);
  await Promise.all([tree.readMore(completed), tree.readMore(completed)]);
  assert.equal(completed.jobs.length, 200);
});

test("a refresh reads only the places whose children changed", async () => {
  const { client, calls } = clientOf({ root: [job("a", { children: 1 }), job("b", { children: 1 })], a: [job("c")], b: [job("d")] });
  const tree = new Tree(client, draw, job("root", { children: 2 }));
  await tree.start();
  for (const { item, key } of tree.rows) if (item.kind === "job" && key !== "root") await tree.open(item);
  calls.length = 0;

  await tree.refresh(new Set(["a"]));
  assert.deepEqual(calls, ["groups root", "children root", "groups a", "children a"]);
  calls.length = 0;
  await tree.refresh(new Set(["elsewhere"]));
  assert.deepEqual(calls, []);
  await tree.refresh();
  assert.equal(calls.length, 6);
});

test("a refresh keeps open what was open and takes over changes", async () => {
  const children = { root: [job("a", { children: 1 })], a: [job("c", { status: "Running" })] };
  const { client } = clientOf(children);
  const tree = new Tree(client, draw, job("root", { children: 1 }));
  await tree.start();
  await tree.open(tree.root.lists[0].jobs[0]);
  children.a = [job("c", { status: "Dead" }), job("e")];
  await tree.refresh();
  assert.deepEqual(drawn(tree.rows), ["1 job root", "2 job a", "3 job c", "3 job e"]);
  assert.equal(tree.root.lists[0].jobs[0].job.child_counts?.failed, 1);
});

test("a tree learns of a job wherever it shows it", async () => {
  const { client } = clientOf({ root: [job("a")] });
  const tree = new Tree(client, draw, job("root", { children: 1 }));
  await tree.start();
  tree.learn([job("a", { status: "Dead", error: "torn" }), job("elsewhere")]);
  assert.equal(tree.root.lists[0].jobs[0].job.error, "torn");
});

test("a failed request shows in the tree and is forgotten when the next one succeeds", async () => {
  const { client } = clientOf({ root: [job("a")] });
  const { getChildGroups } = client;
  client.getChildGroups = () => Promise.reject(new Error("lost"));
  const tree = new Tree(client, draw, job("root", { children: 1 }));
  await tree.start();
  assert.deepEqual(drawn(tree.rows), ["1 job root", "2 note root#note"]);
  client.getChildGroups = getChildGroups;
  await tree.refresh();
  assert.deepEqual(drawn(tree.rows), ["1 job root", "2 job a"]);
});
