import { expect, it } from "vitest";
import { parseGdbOption } from "./gdb-server.ts";

it("--gdb is a port of the loopback address", () => {
  expect(parseGdbOption("1234")).toEqual({ address: { host: "127.0.0.1", port: 1234 }, waits: false });
  expect(parseGdbOption("0,wait=on").waits).toBe(true);
});

it.each([
  ["host:1", /the number of a port/],
  ["70000", /the number of a port/],
  ["1,wait=yes", /wait is on or off/],
  ["1,stop=on", /none of wait=…/],
])("--gdb %s is refused", (text, message) => {
  expect(() => parseGdbOption(text)).toThrow(message);
});
