// A mirrored block device that goes back to the last checkpoint when its primary dies.
export { failure, rangeError, succeeded, writeError } from "./block-device.ts";
export type { BlockDevice, DeviceError, Done, FencedDevice, Geometry, Result, WriteOptions } from "./block-device.ts";
export { crc32c } from "./crc32c.ts";
export { journalSectors } from "./journal.ts";
export type { Checksum } from "./journal.ts";
export { maximumNoteBytes } from "./journal-records.ts";
export { MemoryDevice } from "./memory-device.ts";
export { decodeMessage, encodeMessage, MessageReader, protocolVersion } from "./messages.ts";
export type { Message, PrimaryMessage, SecondaryMessage, SessionId, Topology } from "./messages.ts";
export { maximumRequestBytes, maximumRequests, minimumBufferBlocks, Primary } from "./primary.ts";
export type { Mode, PrimaryEvent, PrimaryOptions } from "./primary-types.ts";
export { Secondary } from "./secondary.ts";
export type { SecondaryEvent, SecondaryOptions } from "./secondary.ts";
export { NbdSession } from "./nbd/session.ts";
export type { NbdExport, NbdSessionOptions } from "./nbd/session.ts";
