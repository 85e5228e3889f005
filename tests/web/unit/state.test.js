import assert from "node:assert/strict";
import { test } from "node:test";
import { SpawnError } from "../../../hammerwork_cli/web/static/client.js";
import { Changes, planInWords } from "../../../hammerwork_cli/web/static/page/state/changes.js";
import { Board } from "../../../hammerwork_cli/web/static/page/state/board.js";
import { pauseAfter } from "../../../hammerwork_cli/web/static/page/state/pace.js";
import { outcomeOf } from "../../../hammerwork_cli/web/static/page/state/search.js";
import { Session } from "../../../hammerwork_cli/web/static/page/state/session.js";
import { Toast } from "../../../hammerwork_cli/web/static/page/state/toast.js";
import { clientWith, draw, outcome } from "./making.js";

/** @param {import("node:test").TestContext} context */
function session(context) {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const toast = new Toast(draw);
  return { toast, session: new Session(clientWith({}), draw, toast) };
}

/** @param {SpawnError} error */
const failing = (error) => () => Promise.reject(error);

test("figures are counted a tenth of the time, at least once a minute and at most once a second", () => {
  assert.deepEqual([0, 50, 2000, 60000].map(pauseAfter), [1000, 1000, 20000, 60000]);
});

test("a failed request shows above the page, and one after a click in a toast with its hint", async (context) => {
  const { toast, session: one } = session(context);
  const error = new SpawnError("Job 7 runs.", { status: 409, problem: { hint: "Wait." } });
  await one.attempt(failing(error));
  assert.equal(one.error, error);
  assert.equal(toast.message, null);
  await one.attempt(failing(error), { toast: true });
  assert.deepEqual(toast.message, { text: "Job 7 runs. Wait.", kind: "failed" });
});

test("a refused token asks for another one", async (context) => {
  const { session: one } = session(context);
  await one.attempt(failing(new SpawnError("Token, please.", { status: 401 })), { toast: true });
  assert.equal(one.wantsToken, true);
  assert.equal(one.error, null);
});

test("a defect of the page is not taken for a failed request", async (context) => {
  const { session: one } = session(context);
  await assert.rejects(one.attempt(() => Promise.reject(new TypeError("defect"))), TypeError);
});

test("a toast disappears by itself, a failure later", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const toast = new Toast(draw);
  toast.show("Copied.");
  toast.show("Refused.", "failed");
  context.mock.timers.tick(4000);
  assert.equal(toast.message?.text, "Refused.");
  context.mock.timers.tick(6000);
  assert.equal(toast.message, null);
});

test("a plan names the jobs that change, by queue and status", () => {
  const part = { queue: "segment", status: "Dead", jobs: 1200, changes: true };
  const left = { queue: "segment", status: "Running", jobs: 3, changes: false };
  assert.equal(planInWords(outcome({ changed: 1200, plan: [part, left] })), "1,200 jobs: 1,200 Dead in segment.");
});

test("an empty plan asks for no confirmation", async (context) => {
  const { toast, session: one } = session(context);
  const board = new Board(clientWith({}), draw, () => {});
  const changes = new Changes(clientWith({}), { session: one, dialogs: board.dialogs, toast }, () => Promise.resolve());
  await changes.confirmPlan({
    title: "Retry?",
    yes: "Retry them",
    done: "Retried",
    none: "No descendant has failed.",
    act: () => Promise.resolve(outcome({ changed: 0 })),
  });
  assert.equal(board.dialogs.shown, null);
  assert.equal(toast.message?.text, "No descendant has failed.");
});

test("a change happens after its plan was confirmed", async (context) => {
  const { toast, session: one } = session(context);
  const { dialogs } = new Board(clientWith({}), draw, () => {});
  /** @type {object[]} */
  const calls = [];
  let refreshed = 0;
  const changes = new Changes(clientWith({}), { session: one, dialogs, toast }, async () => {
    refreshed += 1;
  });
  await changes.confirmPlan({
    title: "Retry?",
    yes: "Retry them",
    done: "Retried",
    none: "No descendant has failed.",
    act: async (how) => {
      calls.push(how);
      return outcome({ changed: 2, plan: [{ queue: "segment", status: "Dead", jobs: 2, changes: true }] });
    },
  });
  assert.deepEqual(calls, [{ tree: true, dryRun: true }]);
  assert(dialogs.shown?.kind === "confirm");
  assert.equal(dialogs.shown.question.text, "2 jobs: 2 Dead in segment.");

  await changes.apply(dialogs.shown.question);
  assert.deepEqual(calls[1], { tree: true });
  assert.equal(dialogs.shown, null);
  assert.equal(toast.message?.text, "Retried 2 jobs.");
  assert.equal(refreshed, 1);
});

test("an ambiguous prefix lists the jobs, any other failure its message", () => {
  const ambiguous = new SpawnError("Ambiguous.", { status: 409, problem: { candidates: ["a1", "a2"] } });
  assert.deepEqual(outcomeOf("a", ambiguous), { message: "Several job IDs begin with a:", candidates: ["a1", "a2"] });
  assert.deepEqual(outcomeOf("b", new SpawnError("Not found.", { status: 404 })), { message: "Not found.", candidates: [] });
});
