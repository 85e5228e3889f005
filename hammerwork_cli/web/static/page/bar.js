import { html } from "./template.js";
import { countsInWords } from "./words.js";

const KINDS = ["completed", "failed", "running"];

/** A progress bar: what completed, failed and runs, of all. */
export function bar(counts, label = "Children") {
  const ended = counts.total - counts.running - counts.pending;
  const parts = { ...counts, completed: ended - counts.failed };
  return html`<span
    class="bar"
    role="progressbar"
    aria-label=${label}
    aria-valuemin="0"
    aria-valuemax=${counts.total}
    aria-valuenow=${ended}
    aria-valuetext="${ended} of ${counts.total} ended: ${countsInWords(counts)}"
    >${KINDS.map((kind) => html`<i class=${kind} .style=${`width: ${share(parts[kind], counts.total)}%`}></i>`)}</span
  >`;
}

// What is there at all is seen, and what is not all does not look like all.
function share(part, total) {
  if (!part || !total) return 0;
  const percent = (100 * part) / total;
  return part === total ? 100 : Math.min(Math.max(percent, 1.5), 98.5);
}
