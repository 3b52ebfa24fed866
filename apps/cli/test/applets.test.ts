// busybox: a static program that is a hundred programs, each compared with what it does natively.
import { describe, expect, it } from "vitest";
import { appletFiles, appletGroups, appletScript } from "./busybox-applets.ts";
import { differences } from "./harness/outcome.ts";
import { need } from "./harness/requirements.ts";
import { runBoth } from "./harness/run.ts";

describe("busybox applets", () => {
  it.for(Object.entries(appletGroups))("%s", ([, lines], context) => {
    need(context, "busybox");
    const { native, guest } = runBoth({
      command: ["busybox", "sh", "script"],
      files: { ...appletFiles, script: appletScript(lines) },
      prepare: "touch -d @1000000000 tree/a/b/c.txt; chmod +x tree/a/x.sh",
      stdin: "from standard input\n",
    });
    // Nothing is compared that did not run: a line too many in the table would go unnoticed.
    expect(native.stdout).not.toContain("syntax error");
    expect(differences(native, guest).join("\n")).toBe("");
  });
});
