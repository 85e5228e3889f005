// Calls the JavaScript client for the tests, in Node.
//
// Each line of stdin is a JSON object {client: [baseUrl, options], method, arguments}. The answer is a line with
// {answer, cursor} or {error: {name, status, detail, hint, code, problem}}. The method "listen" subscribes until the
// wanted number of events and states has arrived, "open" often enough; with 0 it unsubscribes at once.

import { createInterface } from "node:readline";
import { SpawnError, SpawnManager } from "../../../hammerwork_cli/web/static/client.js";

function listen(client, { wanted, opens = 0, options }) {
  return new Promise((resolve) => {
    const heard = [];
    const note = (what) => {
      heard.push(what);
      // The test waits for this before it makes changes.
      if (what === "open") process.stderr.write("open\n");
      if (heard.length >= wanted && heard.filter((one) => one === "open").length >= opens) stop();
    };
    const unsubscribe = client.subscribe((event) => note({ type: event.type, data: event.data }), {
      ...options,
      onState: (state) => note(state instanceof SpawnError ? { status: state.status } : state),
    });
    const stop = () => {
      unsubscribe();
      resolve(heard);
    };
    if (wanted === 0) stop();
  });
}

async function call({ client: [baseUrl, options], method, arguments: given }) {
  const client = new SpawnManager(baseUrl, options);
  try {
    const answer = await (method === "listen" ? listen(client, ...given) : client[method](...given));
    return { answer, cursor: answer?.cursor };
  } catch (error) {
    if (!(error instanceof SpawnError)) throw error;
    const { name, status, detail, hint, code, problem } = error;
    return { error: { name, status, detail, hint, code, problem } };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await call(JSON.parse(line)))}\n`);
}
