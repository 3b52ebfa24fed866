/** What uname(2) and /proc say; libraries ask for at least the release they were built for. */
export const KERNEL_RELEASE = "6.1.0-doppel";
export const KERNEL_VERSION = "#1 SMP doppel";
