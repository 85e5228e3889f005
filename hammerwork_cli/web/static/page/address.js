// Addresses within the page: the part after #.

export const OVERVIEW = "#/";

/** @param {string} id */
export const addressOf = (id) => `#/jobs/${id}`;

/**
 * The job that an address names; `null` for the overview.
 * @param {string} hash
 */
export const jobIn = (hash) => hash.match(/^#\/jobs\/([0-9a-f-]{36})$/i)?.[1] ?? null;
