// Programs that talk over loopback: one side in the guest, the other native.
import { createHash, randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { cases } from "./harness/cases.ts";
import { need } from "./harness/requirements.ts";
import { doppel, temporaryDirectory } from "./harness/run.ts";
import { Background, freePort, output } from "./harness/server.ts";

describe("openssl", () => {
  cases([
    {
      name: "digests, ciphers, keys and signatures",
      script: "openssl.sh",
      needs: ["openssl"],
      // Keys are random.
      ignoreFiles: /\.(pem|sig|csr)$/,
    },
  ]);

  const makeCertificate =
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost 2>/dev/null";
  const serve = (port: number) =>
    ["openssl", "s_server", "-accept", `127.0.0.1:${port}`, "-cert", "cert.pem", "-key", "key.pem", "-rev"] as const;
  const talk = (port: number) =>
    [
      "openssl",
      "s_client",
      "-connect",
      `127.0.0.1:${port}`,
      "-CAfile",
      "cert.pem",
      "-verify_return_error",
      "-quiet",
    ] as const;

  /** A line sent through TLS comes back reversed. */
  async function conversation(serverInGuest: boolean, clientInGuest: boolean): Promise<void> {
    using directory = temporaryDirectory();
    await output(["bash", "-c", makeCertificate], directory.path);
    const port = await freePort();
    await using server = new Background(serverInGuest ? doppel(serve(port)) : serve(port), directory.path);
    await server.listensAt(port);
    await using client = new Background(clientInGuest ? doppel(talk(port)) : talk(port), directory.path);
    client.write("a secret line\n");
    expect(await client.prints("enil terces a\n")).toContain("enil terces a\n");
  }

  it("TLS: server in the guest, native client", async (context) => {
    need(context, "openssl");
    await conversation(true, false);
  });

  it("TLS: native server, client in the guest", async (context) => {
    need(context, "openssl");
    await conversation(false, true);
  });
});

describe("curl", () => {
  it("in the guest fetches from a native server what was sent", async (context) => {
    need(context, "curl");
    using directory = temporaryDirectory();
    const file = randomBytes(300_000);
    writeFileSync(join(directory.path, "upload"), file);
    const seen: string[] = [];
    await using server = createServer((request, response) => {
      seen.push(`${request.method} ${request.url}`);
      if (request.method === "GET" && request.url === "/moved") response.writeHead(302, { location: "/file" }).end();
      else if (request.method === "GET" && request.url === "/file") response.writeHead(200).end(file);
      else if (request.method === "POST") {
        const hash = createHash("sha256");
        request.on("data", (chunk: Buffer) => hash.update(chunk));
        request.on("end", () => response.end(hash.digest("hex")));
      } else response.writeHead(404).end("nothing here\n");
    });
    await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
    const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const script = `curl -sSL ${base}/moved | sha256sum; curl -sS --data-binary @upload ${base}/post; echo
      curl -sS -o nothing -w '%{http_code} %{size_download}\\n' ${base}/nowhere; cat nothing
      curl -sS http://localhost:${(server.address() as AddressInfo).port}/nowhere
      curl -sS http://127.0.0.1:1/; echo $?; curl -sS http://host.invalid/; echo $?`;
    const digest = createHash("sha256").update(file).digest("hex");
    await using program = new Background(doppel(["bash", "-c", script]), directory.path);
    expect(await program.finish()).toBe(0);
    expect(program.output).toContain(`${digest}  -\n${digest}\n404 13\nnothing here\nnothing here\n`);
    expect(program.output).toMatch(/curl: \(7\) .*\n7\ncurl: \(6\) .*\n6\n$/s);
    expect(seen).toEqual(["GET /moved", "GET /file", "POST /post", "GET /nowhere", "GET /nowhere"]);
  });
});

describe("redis-server", () => {
  it("in the guest serves a native redis-benchmark", async (context) => {
    need(context, "redis-server", "redis-benchmark", "redis-cli");
    using directory = temporaryDirectory();
    const port = await freePort();
    const redis = ["redis-server", "--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"];
    await using server = new Background(doppel(redis), directory.path);
    await server.listensAt(port);
    const load = ["-n", "2000", "-c", "20", "-q", "-t", "ping,set,get,incr,lpush,sadd,zadd"];
    const benchmark = await output(["redis-benchmark", "-p", String(port), ...load], directory.path);
    expect(benchmark.match(/requests per second/g)?.length).toBeGreaterThanOrEqual(7);
    expect(benchmark).not.toMatch(/error/i);
    const cli = (...words: string[]): Promise<string> =>
      output(["redis-cli", "-p", String(port), ...words], directory.path);
    await cli("set", "greeting", "hello");
    expect(await cli("append", "greeting", " world")).toBe("11\n");
    expect(await cli("get", "greeting")).toBe("hello world\n");
    expect(await cli("eval", "return redis.call('incrby', KEYS[1], 41) + 1", "1", "fresh")).toBe("42\n");
    // Writing the file again forks a child that shares memory by copy-on-write.
    await cli("bgrewriteaof");
    await expect.poll(() => cli("info", "persistence"), { timeout: 60_000 }).toContain("aof_rewrite_in_progress:0");
    await cli("shutdown", "nosave");
    expect(await server.ended).toBe(0);
  });
});
