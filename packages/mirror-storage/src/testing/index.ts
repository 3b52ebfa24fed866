// A simulated pair of hosts, for the tests of whoever builds on this package.
export { Clock } from "./clock.ts";
export { Cluster, Violation } from "./cluster.ts";
export type { ClusterOptions } from "./cluster.ts";
export { contractSectors, deviceContract, submitted } from "./device-contract.ts";
export type { ContractRule } from "./device-contract.ts";
export { DiskModel } from "./disk-model.ts";
export { Random } from "./random.ts";
export { runSchedule } from "./schedule.ts";
export type { ScheduleResult } from "./schedule.ts";
export { SimulatedDisk } from "./simulated-disk.ts";
export { enumerateCrashes } from "./enumerate.ts";
export type { Enumeration } from "./enumerate.ts";
