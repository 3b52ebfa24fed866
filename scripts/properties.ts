// Which cases the property tests take. The same ones every time, so that a run that fails fails again, and whoever changes a
// line sees what that line did; `pnpm fuzz` takes others.
import { configureGlobal } from "fast-check";

const seed = Number(process.env["DOPPEL_SEED"] ?? 1);
if (!Number.isInteger(seed))
  throw new Error(`DOPPEL_SEED is "${process.env["DOPPEL_SEED"]}", which is no whole number`);

configureGlobal({ seed });
