import { expect, test } from "vitest";
import { cacheDirectory } from "./compile-cache.ts";

test("compiled code is kept where the environment says, else in the user's cache, else nowhere", () => {
  expect(cacheDirectory({ NODE_COMPILE_CACHE: "/chosen", HOME: "/home/somebody" })).toBe("/chosen");
  expect(cacheDirectory({ XDG_CACHE_HOME: "/caches", HOME: "/home/somebody" })).toBe("/caches/doppel/compiled");
  expect(cacheDirectory({ HOME: "/home/somebody" })).toBe("/home/somebody/.cache/doppel/compiled");
  // "If an implementation encounters a relative path in any of these variables it should consider the path invalid."
  expect(cacheDirectory({ XDG_CACHE_HOME: "relative", HOME: "/home/somebody" })).toBe(
    "/home/somebody/.cache/doppel/compiled",
  );
  expect(cacheDirectory({ XDG_CACHE_HOME: "", HOME: "" })).toBeUndefined();
});
