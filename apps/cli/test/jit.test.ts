// Programs that write code while they run: their compilers patch, move and discard it all the time.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { cases } from "./harness/cases.ts";
import { doppel, temporaryDirectory } from "./harness/run.ts";
import { Background } from "./harness/server.ts";

/** Traces that are recorded, linked, left by side exits, and flushed. */
const luaProgram = `
local function sieve(n)
  local composite, count = {}, 0
  for i = 2, n do
    if not composite[i] then
      count = count + 1
      for j = i * i, n, i do composite[j] = true end
    end
  end
  return count
end
print(sieve(200000))
local words = {}
for i = 1, 20000 do words[#words + 1] = string.format("%x", i * 2654435761 % 2^32) end
table.sort(words)
print(words[1], words[#words], #table.concat(words))
local Point = {}
Point.__index = Point
function Point.__add(a, b) return setmetatable({ x = a.x + b.x }, Point) end
local sum = setmetatable({ x = 0 }, Point)
for i = 1, 300000 do sum = sum + setmetatable({ x = i % 7 == 0 and 0.5 or 1 }, Point) end
print(sum.x)
for round = 1, 5 do
  jit.flush()
  local s = 0
  for i = 1, 50000 do s = s + (i % round) end
  print(round, s)
end
local ffi = require("ffi")
ffi.cdef("int abs(int); typedef struct { int a; double b; } pair;")
local pairs_, total = ffi.new("pair[100]"), 0
for round = 1, 300 do
  for i = 0, 99 do pairs_[i].a, pairs_[i].b = ffi.C.abs(i - 50), i / 2 end
  for i = 0, 99 do total = total + pairs_[i].a * pairs_[i].b end
end
print(total)
print(select(2, pcall(error, "thrown")), coroutine.wrap(function(x) return coroutine.yield(x) + 1 end)(41))
`;

/** Functions that are interpreted, compiled, compiled better, and given up when their types change; threads that do it. */
const nodeProgram = `
const { createHash } = require("node:crypto");
function mix(n) { let s = 0; for (let i = 0; i < n; i++) s = (s * 31 + i) | 0; return s; }
let last = 0;
for (let i = 0; i < 40; i++) last = mix(20000 + i);
class Shape { constructor(x) { this.x = x; } area() { return this.x * 2; } }
let area = 0;
for (let i = 0; i < 200000; i++) area += new Shape(i).area();
const add = (a, b) => a + b;
let both = 0;
for (let i = 0; i < 100000; i++) both = add(both, i);
both = add("then text: ", both);
const map = new Map(Array.from({ length: 20000 }, (_, i) => ["k" + i, i]));
let keys = 0;
for (const [key, value] of map) keys += key.length + value;
const wasm = new WebAssembly.Module(Uint8Array.of(0,97,115,109,1,0,0,0,1,6,1,96,1,127,1,127,3,2,1,0,7,5,1,1,102,0,0,10,9,1,7,0,32,0,32,0,108,11));
const { f } = new WebAssembly.Instance(wasm).exports;
console.log(last, area, both, keys, f(1234), createHash("sha256").update("x".repeat(10000)).digest("hex"));
const { Worker } = require("node:worker_threads");
const worker = new Worker("require('node:worker_threads').parentPort.postMessage([...Array(50000).keys()].reduce((a, b) => a + b))", { eval: true });
worker.on("message", (sum) => console.log("a thread says", sum));
worker.on("exit", (code) => console.log("and ends with", code));
process.on("exit", () => console.error("done"));
`;

const SERVER = `
const server = require("node:http").createServer((request, response) => {
  let body = "";
  request.on("data", (chunk) => (body += chunk));
  request.on("end", () => response.end(JSON.stringify({ url: request.url, length: body.length })));
});
server.listen(0, "127.0.0.1", () => console.log("port " + server.address().port));
process.on("SIGTERM", () => server.close(() => { console.log("closed"); process.exit(3); }));
`;

describe("luajit", () => {
  cases([{ name: "compiles traces", needs: ["luajit"], command: ["luajit", "-e", luaProgram] }]);
});

describe("node", { timeout: 400_000 }, () => {
  cases([
    {
      name: "compiles JavaScript and WebAssembly, on threads too",
      command: [process.execPath, "-e", nodeProgram],
      timeoutMs: 300_000,
    },
  ]);

  it("serves HTTP in the guest to a native client", async () => {
    using directory = temporaryDirectory();
    writeFileSync(join(directory.path, "server.cjs"), SERVER);
    await using server = new Background(doppel([process.execPath, "server.cjs"]), directory.path, 300_000);
    const [, port = "0"] = /port (\d+)\n/.exec(await server.prints("\n")) ?? [];
    for (let turn = 0; turn < 20; turn++) {
      const answer = await fetch(`http://127.0.0.1:${port}/page/${turn}`, {
        method: "POST",
        body: "b".repeat(turn * 999),
      });
      expect([answer.status, await answer.json()]).toEqual([200, { url: `/page/${turn}`, length: turn * 999 }]);
    }
    server.kill("SIGTERM");
    expect(await server.ended).toBe(3);
    expect(server.output).toContain("closed\n");
  });
});
