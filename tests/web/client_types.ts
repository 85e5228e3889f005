// A program in TypeScript: the tests compile it and never run it.
import { SpawnError, SpawnManager, type SpawnOperation, type SpawnTree } from "../../hammerwork_cli/web/static/client.js";

const spawns = new SpawnManager("http://localhost:8080", { token: "secret" });

export async function worstOperation(): Promise<SpawnOperation | undefined> {
  const operations = await spawns.getSpawnOperations(20, { queue: "video_ingest" });
  const next: string | null = operations.cursor;
  if (next !== null) operations.push(...(await spawns.getSpawnOperations(20, { cursor: next })));
  return operations.sort((one, other) => other.children.failed - one.children.failed)[0];
}

export async function draw(jobId: string): Promise<string> {
  const tree: SpawnTree = await spawns.getSpawnTree(jobId);
  const failed = tree.nodes.filter((node) => node.status === "Dead").length;
  const diagram: string = await spawns.getSpawnTree(jobId, "mermaid", 5);
  // @ts-expect-error  a tree is not text
  const wrong: string = await spawns.getSpawnTree(jobId, "json");
  // @ts-expect-error  the format does not exist
  await spawns.getSpawnTree(jobId, "picture");
  return `${failed} ${diagram} ${wrong}`;
}

export async function figures(): Promise<number | null> {
  try {
    const stats = await spawns.getSpawnStats(null, 12);
    return stats.success_rate;
  } catch (error) {
    if (error instanceof SpawnError && error.status === 401) console.error(error.detail, error.hint);
    throw error;
  }
}

const unsubscribe: () => void = spawns.subscribe((event) => console.log(event.type, event.data), { queue: "video_ingest" });
unsubscribe();
// @ts-expect-error  a limit is a number
spawns.getSpawnOperations("20");
