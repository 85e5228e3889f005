// A program with a client that openapi-typescript made.

import createClient from "openapi-fetch";
import type { paths } from "./contract.js";

const [, , baseUrl = ""] = process.argv;
const client = createClient<paths>({ baseUrl, headers: { Origin: baseUrl } });
const { data: enqueued, error } = await client.POST("/api/jobs", { body: { queue: "mail", payload: { to: "ann" } } });
if (error) throw new Error(error.detail);
const id: string = enqueued.id;
const { data: listed } = await client.GET("/api/jobs", { params: { query: { queue: ["mail"], limit: 5 } } });
const { error: refused } = await client.GET("/api/jobs/{id}", { params: { path: { id: "ffffffff-0000-4000-8000-000000000000" } } });
console.log(JSON.stringify([id, listed?.map((job) => job.id), refused?.status]));
