// 32-bit programs: busybox for i386, a static program of Debian's package busybox-static:i386.
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { appletFiles, appletGroups, appletScript } from "./busybox-applets.ts";
import { differences } from "./harness/outcome.ts";
import { need } from "./harness/requirements.ts";
import { repository, runBoth } from "./harness/run.ts";

/** `.ci/busybox-i386` unpacks it there; it cannot be installed beside the one for this machine. */
const busybox = join(repository, ".ci/cache/busybox-i386/bin/busybox");

describe("busybox for i386", () => {
  it.for(Object.entries(appletGroups))("%s", ([, lines], context) => {
    need(context, busybox);
    const { native, guest } = runBoth({
      command: [busybox, "sh", "script"],
      files: { ...appletFiles, script: appletScript(lines) },
      prepare: "touch -d @1000000000 tree/a/b/c.txt; chmod +x tree/a/x.sh",
      stdin: "from standard input\n",
    });
    expect(differences(native, guest).join("\n")).toBe("");
  });
});
