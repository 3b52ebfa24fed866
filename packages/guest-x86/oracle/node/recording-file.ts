/** Recordings on disk, compressed. */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { deflateRawSync, inflateRawSync } from "node:zlib";
import { decodeRecording, encodeRecording, type Recording, recordingHeaderBytes } from "../recording.ts";

/** The recording in the repository. */
export const recordedVectors: string = fileURLToPath(new URL("../recorded/vectors.bin", import.meta.url));

/** @returns bytes written */
export function writeRecording(path: string, recording: Recording): number {
  const { header, content } = encodeRecording(recording);
  const file = Buffer.concat([header, deflateRawSync(content, { level: 9 })]);
  writeFileSync(path, file);
  return file.length;
}

export function readRecording(path: string): Recording {
  const file = readFileSync(path);
  const head = recordingHeaderBytes(file);
  return decodeRecording(file.subarray(0, head), inflateRawSync(file.subarray(head)));
}
