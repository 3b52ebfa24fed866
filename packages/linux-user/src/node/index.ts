export { NodeFilesystem } from "./filesystem.ts";
export { nodeStream } from "./streams.ts";
