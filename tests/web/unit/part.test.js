import assert from "node:assert/strict";
import { test } from "node:test";
import { SpawnError } from "../../../hammerwork_cli/web/static/client.js";
import { stateOf } from "../../../hammerwork_cli/web/static/page/live.js";
import { Part } from "../../../hammerwork_cli/web/static/page/state/part.js";
import { draw } from "./making.js";

/** A part whose questions the test answers, in any order. */
function asked() {
  /** @type {{answer: (value: string) => void, refuse: (error: Error) => void}[]} */
  const questions = [];
  const part = new Part(
    () =>
      new Promise((/** @type {(value: string) => void} */ answer, refuse) => {
        questions.push({ answer, refuse });
      }),
    draw,
  );
  return { part, questions };
}

test("a part keeps its answer and its time when a later question fails", async () => {
  const { part, questions } = asked();
  const first = part.read();
  questions[0].answer("one");
  await first;
  const { at } = part;
  assert(at !== null);
  assert.equal(part.secondsSince(at + 5000), 5);
  const second = part.read();
  questions[1].refuse(new SpawnError("Down.", { status: 503 }));
  await second;
  assert.deepEqual([part.value, part.at, part.error?.detail], ["one", at, "Down."]);
});

test("an answer to an earlier question comes too late", async () => {
  const { part, questions } = asked();
  part.read();
  part.forget();
  const second = part.read();
  questions[1].answer("of the chosen queue");
  questions[0].answer("of all queues");
  await second;
  assert.equal(part.value, "of the chosen queue");
});

test("a slow answer is not overtaken by the events that come while it is counted", async () => {
  const { part, questions } = asked();
  const first = part.read();
  await part.read(false);
  await part.read(false);
  assert.equal(questions.length, 1);
  questions[0].answer("counted");
  await first;
  assert.equal(part.value, "counted");
  part.forget();
});

test("events that come soon after an answer cause one question after a pause", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const { part, questions } = asked();
  const first = part.read();
  questions[0].answer("one");
  await first;
  await part.read(false);
  await part.read(false);
  assert.equal(questions.length, 1);
  context.mock.timers.tick(1000);
  assert.equal(questions.length, 2);
});

test("a defect of the page is not taken for a failed reading", async () => {
  const { part, questions } = asked();
  const reading = part.read();
  questions[0].refuse(new TypeError("defect"));
  await assert.rejects(reading, TypeError);
});

test("after a defect the next reading asks again", async () => {
  const { part, questions } = asked();
  const reading = part.read();
  questions[0].refuse(new TypeError("defect"));
  await assert.rejects(reading, TypeError);
  part.read(false);
  assert.equal(questions.length, 2);
  part.forget();
});

test("a forgotten part does not ask after its pause", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const { part, questions } = asked();
  const first = part.read();
  questions[0].answer("one");
  await first;
  await part.read(false);
  part.forget();
  context.mock.timers.tick(10_000);
  assert.equal(questions.length, 1);
});

test("the page does not say Live while reading fails", () => {
  assert.equal(stateOf("live", null), "live");
  assert.equal(stateOf("live", new SpawnError("Down.", { status: 503 })), "unreachable");
  assert.equal(stateOf("live", new SpawnError("Gone.")), "lost");
  assert.equal(stateOf("polling", new SpawnError("A bug.", { status: 500 })), "stale");
  assert.equal(stateOf("unreachable", new SpawnError("A bug.", { status: 500 })), "unreachable");
});
