// What Node's fetch makes of the server: as get.go.
import { createHash } from "node:crypto";

const base = process.argv[2];

async function show(what, path, headers = {}, method = "GET") {
  const answer = await fetch(base + path, { method, headers });
  const body = Buffer.from(await answer.arrayBuffer());
  const hash = createHash("sha256").update(body).digest("hex");
  console.log(what, answer.status, body.length, hash, new URL(answer.url).pathname);
  return answer;
}

const first = await show("first", "/text.yaml");
// A revalidation that a browser would make: fetch leaves it to the caller.
await show("same-tag", "/text.yaml", { "If-None-Match": first.headers.get("etag") });
await show("range", "/big.bin", { Range: "bytes=1000-1999" });
await show("big", "/big.bin");
await show("folder", "/dir");
const list = await fetch(base + "/dir/", { headers: { Accept: "application/json" } });
console.log("json", (await list.json()).map((entry) => entry.name).join(","));
await show("none", "/none");
