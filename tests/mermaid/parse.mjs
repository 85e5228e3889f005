// Parses diagrams with the real Mermaid parser.
//
// Each line of stdin is a JSON array of diagrams, and is answered by a line with a JSON array of results in that
// order; so one process serves a whole test run.
//
// A result is {ok, error, diagramType, nodes, edges, classes, tasks}. `nodes` are {id, label, shape, classes}, `edges`
// {from, to, label, stroke}, `classes` {name: [styles]}; empty for diagrams that are no flowchart. `tasks` are those of a
// Gantt chart, {text, section, crit, start, end}, with times in milliseconds. A `label` is what a reader of the picture
// sees: entities decoded, line breaks as "\n". Mermaid's limit on the length of a diagram, which only its renderer
// checks, counts as an error here.

import { createInterface } from "node:readline";
import { JSDOM } from "jsdom";

// Mermaid cleans labels with DOMPurify, which wants a browser.
const { window } = new JSDOM("");
globalThis.window = window;
globalThis.document = window.document;
const { default: mermaid } = await import("mermaid");

// Mermaid hides entities from its grammar behind these signs until it draws.
function asRead(label) {
  const element = window.document.createElement("div");
  element.innerHTML = (label ?? "")
    .replace(/ﬂ°°/g, "&#")
    .replace(/ﬂ°/g, "&")
    .replace(/¶ß/g, ";")
    .replace(/<br\s*\/?>/gi, "\n");
  return element.textContent;
}

function failed(error) {
  return { ok: false, error, diagramType: null, nodes: [], edges: [], classes: {}, tasks: [] };
}

function tasks(db) {
  if (typeof db.getTasks !== "function") {
    return [];
  }
  return db.getTasks().map((task) => ({
    text: asRead(task.task),
    section: asRead(task.section),
    crit: Boolean(task.crit),
    start: task.startTime.getTime(),
    end: task.endTime.getTime(),
  }));
}

function flowchart(db) {
  if (typeof db.getVertices !== "function") {
    return { nodes: [], edges: [], classes: {} };
  }
  const nodes = [...db.getVertices().values()].map((node) => ({
    id: node.id,
    label: asRead(node.text ?? node.id),
    shape: node.type ?? null,
    classes: node.classes,
  }));
  const edges = db.getEdges().map((edge) => ({
    from: edge.start,
    to: edge.end,
    label: asRead(edge.text),
    stroke: edge.stroke,
  }));
  const classes = Object.fromEntries([...db.getClasses().values()].map((one) => [one.id, one.styles]));
  return { nodes, edges, classes };
}

async function parse(text) {
  const { maxTextSize } = mermaid.mermaidAPI.getConfig();
  if (text.length > maxTextSize) {
    return failed(`Maximum text size in diagram exceeded: ${text.length} of ${maxTextSize} characters`);
  }
  try {
    const { type, db } = await mermaid.mermaidAPI.getDiagramFromText(text);
    return { ok: true, error: null, diagramType: type, ...flowchart(db), tasks: tasks(db) };
  } catch (error) {
    return failed(String(error?.message ?? error));
  }
}

mermaid.initialize({ startOnLoad: false });
for await (const line of createInterface({ input: process.stdin })) {
  const results = [];
  for (const text of JSON.parse(line)) {
    results.push(await parse(text));
  }
  process.stdout.write(`${JSON.stringify(results)}\n`);
}
