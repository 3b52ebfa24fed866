/**
 * Cases with the results a processor gave, as one file, so that a machine without an x86-64 processor or a C compiler can
 * hold the translator to them.
 *
 *     0    "DOPPELRC"
 *     8    version u32 = 1, count of cases u32
 *    16    bytes of the cases u32, bytes of the results u32
 *    24    length of the processor's name u16, the name in UTF-8
 *          raw deflate of: the cases, then the results with their state exclusive-ored with their cases', both as
 *          format.ts has them
 *
 * Compression is the caller's: this module also runs where there is none built in.
 */
import { Batch, StateAt } from "./format.ts";

const magic = "DOPPELRC";
const version = 1;
const headerBytes = 26;

export interface Recording {
  readonly processor: string;
  readonly cases: Batch;
  readonly results: Batch;
}

/** What lies in the file before the compressed part, and the part itself, not compressed yet. */
export function encodeRecording({ processor, cases, results }: Recording): { header: Uint8Array; content: Uint8Array } {
  const name = new TextEncoder().encode(processor);
  const header = new Uint8Array(headerBytes + name.length);
  const view = new DataView(header.buffer);
  header.set(new TextEncoder().encode(magic));
  view.setUint32(8, version, true);
  view.setUint32(12, cases.count, true);
  view.setUint32(16, cases.length, true);
  view.setUint32(20, results.length, true);
  view.setUint16(24, name.length, true);
  header.set(name, headerBytes);
  const content = new Uint8Array(cases.length + results.length);
  content.set(cases.slice(0, cases.count));
  content.set(results.slice(0, results.count), cases.length);
  combineStates(cases, results, content.subarray(cases.length));
  return { header, content };
}

/** Length of the uncompressed head of a file, after a look at it. Throws with what is wrong with the file. */
export function recordingHeaderBytes(file: Uint8Array): number {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.length < headerBytes || new TextDecoder().decode(file.subarray(0, 8)) !== magic) {
    throw new Error("this is no recording of oracle cases");
  }
  if (view.getUint32(8, true) !== version)
    throw new Error(`recordings of version ${view.getUint32(8, true)} are not known`);
  return headerBytes + view.getUint16(24, true);
}

export function decodeRecording(header: Uint8Array, content: Uint8Array): Recording {
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  const caseBytes = view.getUint32(16, true);
  if (content.length !== caseBytes + view.getUint32(20, true)) throw new Error("the recording is cut short");
  const cases = Batch.over(content.subarray(0, caseBytes));
  const results = Batch.over(content.subarray(caseBytes));
  const count = view.getUint32(12, true);
  if (cases.count !== count || results.count !== count) throw new Error("the recording's counts do not add up");
  combineStates(cases, results, results.bytes);
  return { processor: new TextDecoder().decode(header.subarray(headerBytes)), cases, results };
}

/** Exclusive-ors the state of every result, in `target`, with its case's: both ways. */
function combineStates(cases: Batch, results: Batch, target: Uint8Array): void {
  for (let i = 0; i < cases.count; i++) {
    const from = cases.stateOffset(i);
    const to = results.stateOffset(i);
    for (let j = 0; j < StateAt.end; j++) target[to + j] ^= cases.bytes[from + j];
  }
}
