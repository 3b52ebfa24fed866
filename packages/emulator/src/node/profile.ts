/** What taking a profile needs; apart, since hardly any run does. */
export { CpuSampler } from "./cpu-sampler.ts";
export { GuestProfile, type ProfileSummary, type TimeShare } from "../profile/guest-profile.ts";
export type { SpeedscopeFile } from "../profile/speedscope.ts";
export { speedscopeSchema } from "../profile/speedscope-schema.ts";
