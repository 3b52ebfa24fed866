// execve(2)'s middle: from a path to a fresh address space with the program, its interpreter and its stack in it.
// Nothing of the caller changes here; a failure costs only the half-built space.

import {
  E2BIG,
  EACCES,
  EINVAL,
  EISDIR,
  ELIBBAD,
  ELOOP,
  ENOENT,
  ENOEXEC,
  ENOMEM,
  ENOTDIR,
  errnoName,
  SyscallError,
} from "../kernel/errno.ts";
import type { ExecutableFile, FilesystemPort } from "../kernel/files.ts";
import type { Credentials, Task } from "../kernel/task.ts";
import type { GuestMode } from "../engine-port.ts";
import { PAGE_BYTES } from "../engine-port.ts";
import type { SpaceLimits } from "../memory/address-space.ts";
import { AddressSpace } from "../memory/address-space.ts";
import { LAYOUT_I386, LAYOUT_X86_64 } from "../memory/layout.ts";
import { PROT_EXEC, PROT_READ, PROT_WRITE } from "../memory/mapping.ts";
import { anonymous, findFree, pageCeil, pageFloor } from "../memory/mmap.ts";
import type { PageCache } from "../memory/page-cache.ts";
import type { PageFrames } from "../memory/page-frames.ts";
import { GuestMemory } from "../memory/user-memory.ts";
import type { ElfFile, LoadFailure } from "./elf.ts";
import { isElf, isLoadFailure, parseElf, readHead } from "./elf.ts";
import {
  AT_BASE,
  AT_CLKTCK,
  AT_EGID,
  AT_ENTRY,
  AT_EUID,
  AT_FLAGS,
  AT_GID,
  AT_HWCAP,
  AT_HWCAP2,
  AT_MINSIGSTKSZ,
  AT_PAGESZ,
  AT_PHDR,
  AT_PHENT,
  AT_PHNUM,
  AT_SECURE,
  AT_UID,
  stackBytes,
  writeInitialStack,
} from "./initial-stack.ts";
import { parseScript } from "./script.ts";

/** Linux follows at most this many `#!` lines (BINPRM_MAX_RECURSION). */
const MAXIMUM_SCRIPTS = 5;
/** MAX_ARG_STRLEN: one argument or environment string. */
const MAXIMUM_STRING_BYTES = 131_072;
/** Room below the strings that the first stack mapping has. */
const STACK_MARGIN_BYTES = 128 * 1024;

export interface LoadEnvironment {
  readonly filesystem: FilesystemPort;
  readonly frames: PageFrames;
  readonly cache: PageCache;
  readonly hwcap: number;
  readonly limits: SpaceLimits;
  readonly credentials: Credentials;
  randomBytes(into: Uint8Array): void;
}

export interface LoadRequest {
  /** Whose view of the file system counts. */
  readonly task: Task;
  /** Descriptor or AT_FDCWD, byte string, AT_ flags (execveat(2)). */
  readonly directory: number;
  readonly path: string;
  readonly flags: number;
  readonly commandLine: readonly Uint8Array[];
  readonly environment: readonly Uint8Array[];
}

export interface LoadedProgram {
  readonly space: AddressSpace;
  readonly mode: GuestMode;
  readonly entry: number;
  readonly stackPointer: number;
  readonly executablePath: string;
  /** The name that the process gets (comm). */
  readonly name: string;
  readonly commandLine: readonly Uint8Array[];
  readonly environment: readonly Uint8Array[];
  readonly auxiliaryVector: Uint8Array;
  readonly setUserId: number | null;
  readonly setGroupId: number | null;
}

export function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (unit) => unit.charCodeAt(0));
}

function describe(errno: number, path: string): LoadFailure {
  const reasons: Readonly<Record<number, string>> = {
    [ENOENT]: "no such file",
    [ENOTDIR]: "a part of the path is not a directory",
    [EACCES]: "permission denied",
    [EISDIR]: "is a directory",
    [ELOOP]: "too many symbolic links or #! lines",
    [ENOMEM]: "out of guest memory",
    [E2BIG]: "argument list too long",
  };
  return { errno, reason: `${path}: ${reasons[errno] ?? errnoName(errno)}` };
}

/** Loads a program, following `#!` lines. The opened files are released before it returns. */
export function loadProgram(environment: LoadEnvironment, request: LoadRequest): LoadedProgram | LoadFailure {
  const tooLong = [...request.commandLine, ...request.environment].some((text) => text.length >= MAXIMUM_STRING_BYTES);
  const limit = Math.max(131_072, Math.min(environment.limits.stack / 4, 6 * 1024 * 1024));
  if (tooLong || stackBytes(request.commandLine, request.environment, 8) > limit) return describe(E2BIG, request.path);
  // exec(3p) forbids an empty list; Linux gives one empty string.
  let commandLine = request.commandLine.length === 0 ? [new Uint8Array(0)] : request.commandLine;
  let { directory, flags } = request;
  let path = request.path;
  for (let depth = 0; ; depth++) {
    const file = environment.filesystem.openExecutable(request.task, directory, path, flags);
    if (typeof file === "number") return describe(-file, path);
    try {
      const head = readHead(file.source, 0, 256);
      if (head[0] === 0x23 && head[1] === 0x21) {
        if (depth >= MAXIMUM_SCRIPTS) return describe(ELOOP, path);
        const script = parseScript(head);
        if (script === null) return { errno: ENOEXEC, reason: `${path}: a #! line without an interpreter` };
        const scriptPath =
          directory === -100 || path.startsWith("/") ? path : `/dev/fd/${directory}${path === "" ? "" : `/${path}`}`;
        commandLine = [
          bytesOf(script.interpreter),
          ...(script.argument === null ? [] : [bytesOf(script.argument)]),
          bytesOf(scriptPath),
          ...commandLine.slice(1),
        ];
        path = script.interpreter;
        directory = -100;
        flags = 0;
        continue;
      }
      if (!isElf(head)) {
        const what = head.length === 0 ? "an empty file" : "not an ELF file and no #! line";
        return { errno: ENOEXEC, reason: `${path}: ${what}` };
      }
      return loadElf(environment, request, file, path, commandLine);
    } finally {
      file.release();
    }
  }
}

function loadElf(
  environment: LoadEnvironment,
  request: LoadRequest,
  file: ExecutableFile,
  path: string,
  commandLine: readonly Uint8Array[],
): LoadedProgram | LoadFailure {
  const elf = parseElf(file.source);
  if (isLoadFailure(elf)) return { errno: elf.errno, reason: `${path}: ${elf.reason}` };
  let interpreterFile: ExecutableFile | null = null;
  let interpreter: ElfFile | null = null;
  const space = new AddressSpace(
    elf.mode === "x86-64" ? LAYOUT_X86_64 : LAYOUT_I386,
    environment.frames,
    environment.cache,
  );
  space.limits = { ...environment.limits };
  let complete = false;
  try {
    if (elf.interpreter !== null) {
      const opened = environment.filesystem.openExecutable(request.task, -100, elf.interpreter, 0);
      if (typeof opened === "number") {
        const { reason } = describe(-opened, elf.interpreter);
        return { errno: -opened, reason: `${path}: cannot load its interpreter ${reason}` };
      }
      interpreterFile = opened;
      const parsed = parseElf(opened.source);
      if (isLoadFailure(parsed)) {
        return { errno: ELIBBAD, reason: `${path}: its interpreter ${elf.interpreter} is ${parsed.reason}` };
      }
      if (parsed.mode !== elf.mode) {
        return { errno: ELIBBAD, reason: `${path}: its interpreter ${elf.interpreter} is for ${parsed.mode}` };
      }
      interpreter = parsed;
    }
    const loaded = placeProgram(environment, space, {
      elf,
      file,
      interpreter,
      interpreterFile,
      path,
      commandLine,
      environmentStrings: request.environment,
    });
    complete = !isLoadFailure(loaded);
    return loaded;
  } catch (error) {
    if (error instanceof SyscallError) return { errno: ENOMEM, reason: `${path}: out of guest memory` };
    throw error;
  } finally {
    interpreterFile?.release();
    if (!complete) space.release();
  }
}

interface Pieces {
  readonly elf: ElfFile;
  readonly file: ExecutableFile;
  readonly interpreter: ElfFile | null;
  readonly interpreterFile: ExecutableFile | null;
  readonly path: string;
  readonly commandLine: readonly Uint8Array[];
  readonly environmentStrings: readonly Uint8Array[];
}

function placeProgram(environment: LoadEnvironment, space: AddressSpace, pieces: Pieces): LoadedProgram | LoadFailure {
  const { elf, file, interpreter, interpreterFile, path } = pieces;
  const { layout } = space;
  const wordBytes = elf.mode === "x86-64" ? 8 : 4;
  space.readImpliesExecute = elf.stack === "unsaid" && elf.mode === "i386";
  // The stack first, so that nothing is placed where it grows.
  const stackSize = pageCeil(
    stackBytes(pieces.commandLine, pieces.environmentStrings, wordBytes) +
      path.length +
      STACK_MARGIN_BYTES +
      PAGE_BYTES,
  );
  const executable = elf.stack !== "plain";
  space.map(
    anonymous(
      layout.stackTop - stackSize,
      layout.stackTop,
      PROT_READ | PROT_WRITE | (executable ? PROT_EXEC : 0),
      "[stack]",
      true,
    ),
  );
  const bias = elf.relocatable
    ? alignUp(layout.programBase, elf.segments[0].align) - pageFloor(elf.segments[0].address)
    : 0;
  const end = mapSegments(space, elf, file, bias);
  if (typeof end !== "number") return { errno: end.errno, reason: `${path}: ${end.reason}` };
  space.breakStart = pageCeil(end);
  space.breakEnd = space.breakStart;
  let entry = elf.entry + bias;
  let base = 0;
  if (interpreter !== null && interpreterFile !== null) {
    const placed = placeInterpreter(space, interpreter);
    if (placed === null) return { errno: ENOMEM, reason: `${path}: no room for its interpreter` };
    const mapped = mapSegments(space, interpreter, interpreterFile, placed);
    if (typeof mapped !== "number") return { errno: ELIBBAD, reason: `${elf.interpreter}: ${mapped.reason}` };
    base = placed + pageFloor(interpreter.segments[0].address);
    entry = interpreter.entry + placed;
  }
  const { credentials } = environment;
  const random = new Uint8Array(16);
  environment.randomBytes(random);
  const stack = writeInitialStack(new GuestMemory(space), {
    wordBytes,
    top: layout.stackTop,
    commandLine: pieces.commandLine,
    environment: pieces.environmentStrings,
    fileName: bytesOf(path),
    platform: elf.mode === "x86-64" ? "x86_64" : "i686",
    random,
    auxiliary: [
      [AT_HWCAP, environment.hwcap],
      [AT_PAGESZ, PAGE_BYTES],
      [AT_CLKTCK, 100],
      [AT_PHDR, elf.programHeaderAddress === 0 ? 0 : elf.programHeaderAddress + bias],
      [AT_PHENT, elf.programHeaderBytes],
      [AT_PHNUM, elf.programHeaderCount],
      [AT_BASE, base],
      [AT_FLAGS, 0],
      [AT_ENTRY, elf.entry + bias],
      [AT_UID, credentials.ruid],
      [AT_EUID, file.setUserId ?? credentials.euid],
      [AT_GID, credentials.rgid],
      [AT_EGID, file.setGroupId ?? credentials.egid],
      [AT_SECURE, file.setUserId !== null || file.setGroupId !== null ? 1 : 0],
      [AT_HWCAP2, 0],
      [AT_MINSIGSTKSZ, 2048],
    ],
  });
  space.argumentsStart = stack.argumentsStart;
  space.argumentsEnd = stack.argumentsEnd;
  space.environmentStart = stack.environmentStart;
  space.environmentEnd = stack.environmentEnd;
  return {
    space,
    mode: elf.mode,
    entry,
    stackPointer: stack.stackPointer,
    executablePath: file.path,
    name: path.slice(path.lastIndexOf("/") + 1, path.lastIndexOf("/") + 16),
    commandLine: pieces.commandLine,
    environment: pieces.environmentStrings,
    auxiliaryVector: stack.auxiliaryVector,
    setUserId: file.setUserId,
    setGroupId: file.setGroupId,
  };
}

function alignUp(address: number, align: number): number {
  return Math.ceil(address / align) * align;
}

/** The bias of the interpreter, or null without room. */
function placeInterpreter(space: AddressSpace, interpreter: ElfFile): number | null {
  if (!interpreter.relocatable) return 0;
  const first = interpreter.segments[0];
  const last = interpreter.segments.at(-1)!;
  const low = pageFloor(first.address);
  const size = pageCeil(last.address + last.memoryBytes) - low;
  const slack = first.align - PAGE_BYTES;
  const place = findFree(space, size + slack);
  return place < 0 ? null : alignUp(place, first.align) - low;
}

/** Maps all segments at `bias`; returns the end of the last one's memory. */
function mapSegments(space: AddressSpace, elf: ElfFile, file: ExecutableFile, bias: number): number | LoadFailure {
  const cached = space.cache.file(file.source);
  const memory = new GuestMemory(space);
  let end = 0;
  for (const segment of elf.segments) {
    const start = pageFloor(segment.address + bias);
    const fileEnd = segment.address + bias + segment.fileBytes;
    const memoryEnd = segment.address + bias + segment.memoryBytes;
    if (start < space.layout.minimum || pageCeil(memoryEnd) > space.layout.limit) {
      return { errno: EINVAL, reason: "a segment where nothing may be mapped" };
    }
    if (space.mappings.within(start, pageCeil(memoryEnd)).some((mapping) => mapping.name === "[stack]")) {
      return { errno: ENOMEM, reason: "a segment where the stack is" };
    }
    if (memoryEnd - start > space.limits.addressSpace) return { errno: ENOMEM, reason: "out of guest memory" };
    let mappedEnd = start;
    if (segment.fileBytes > 0) {
      mappedEnd = pageCeil(fileEnd);
      space.map({
        ...anonymous(start, mappedEnd, segment.protection, file.path),
        file: cached,
        fileOffset: pageFloor(segment.offset),
      });
    }
    if (memoryEnd > fileEnd) {
      // The rest of the file's last page is zeros. Only a segment that may be written can have such a rest.
      if (mappedEnd > fileEnd && segment.fileBytes > 0 && (segment.protection & PROT_WRITE) !== 0) {
        memory.fill(fileEnd, mappedEnd - fileEnd, 0);
      }
      if (pageCeil(memoryEnd) > mappedEnd) {
        space.map(anonymous(mappedEnd, pageCeil(memoryEnd), segment.protection, ""));
      }
    }
    end = Math.max(end, memoryEnd);
  }
  return end;
}
