// Limits how often the page asks for figures, which are expensive to count on a large database.

/** Counting may take this share of the time, one part in so many. */
const SHARE = 10;
const SHORTEST_MS = 1000;
const LONGEST_MS = 60000;

/**
 * The pause after a count that took so long.
 * @param {number} took in milliseconds
 */
export const pauseAfter = (took) => Math.min(Math.max(SHARE * took, SHORTEST_MS), LONGEST_MS);
