export { P9Server } from "./server.ts";
export { Errno, ShareError } from "./share.ts";
export type { ShareChanges, ShareEntry, ShareFile, ShareObject, ShareStat, ShareStatistics } from "./share.ts";
