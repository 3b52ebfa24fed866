/**
 * The protocol of `--control`: a line each way, in order. A request is an object, or words for people:
 *
 * ```text
 *   {"id": 7, "command": "save", "file": "/tmp/m"}     {"id":7,"ok":true,"result":{…}}
 *   save /tmp/m                                        {"ok":true,"result":{…}}
 *   fly                                                {"ok":false,"error":"there is no command fly; …"}
 * ```
 * An `id`, a number or a text, is given back. Nothing here touches a socket.
 */
import { z } from "zod";

export const controlCommands = {
  status: "what the machine does",
  stats: "what it has done, in numbers",
  pause: "stops it between two instructions; its time stands still",
  resume: "goes on",
  save: "saves it to the file named; it goes on if it was running",
  "power-button": "asks the guest's system to shut down",
  quit: "ends it at once",
  help: "lists these",
} as const;
type ControlCommand = keyof typeof controlCommands;

export type ControlRequest =
  | { readonly command: Exclude<ControlCommand, "save"> }
  | { readonly command: "save"; readonly file: string };

/** The request cannot be carried out, and why. */
export class ControlError extends Error {
  override name = "ControlError";
}

/** Longest line: a path, and some. */
const MAXIMUM_LINE_BYTES = 8192;
/** Requests that wait for one that takes long. */
const MAXIMUM_QUEUED = 64;

const idSchema = z.union([z.string(), z.number()]);
type Id = z.infer<typeof idSchema>;
const requestSchema = z.strictObject({
  id: idSchema.optional(),
  command: z.string(),
  file: z.string().min(1).optional(),
});

function request(command: string, file: string | undefined): ControlRequest {
  if (!Object.hasOwn(controlCommands, command)) {
    throw new ControlError(`there is no command ${command}; there are ${Object.keys(controlCommands).join(", ")}`);
  }
  const known = command as ControlCommand;
  if (known === "save") {
    if (file === undefined) throw new ControlError("save wants the name of a file");
    return { command: known, file };
  }
  if (file !== undefined) throw new ControlError(`${command} wants nothing more`);
  return { command: known };
}

function parseLine(line: string): { id: Id | undefined; request: () => ControlRequest } {
  if (!line.startsWith("{")) {
    const [, command = "", file] = /^(\S*)(?:\s+(.*\S))?\s*$/s.exec(line) ?? [];
    return { id: undefined, request: () => request(command, file) };
  }
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new ControlError("this is no JSON");
  }
  const parsed = requestSchema.safeParse(value);
  if (!parsed.success) throw new ControlError(z.prettifyError(parsed.error).replaceAll("\n", " "));
  const { id, command, file } = parsed.data;
  return { id, request: () => request(command, file) };
}

/** One connection: takes what comes, answers in order, and closes what makes no sense as a line. */
export class ControlSession {
  private readonly serve: (request: ControlRequest) => Promise<unknown>;
  private readonly send: (line: string) => void;
  private readonly hangUp: () => void;
  private text = "";
  private queued = 0;
  private last: Promise<void> = Promise.resolve();
  private readonly decoder = new TextDecoder();

  /**
   * @param serve carries a request out; rejects with ControlError where it cannot be
   * @param send takes a line
   * @param hangUp called when the other side breaks the protocol
   */
  constructor(serve: (request: ControlRequest) => Promise<unknown>, send: (line: string) => void, hangUp: () => void) {
    this.serve = serve;
    this.send = send;
    this.hangUp = hangUp;
  }

  receive(bytes: Uint8Array): void {
    this.text += this.decoder.decode(bytes, { stream: true });
    const lines = this.text.split("\n");
    this.text = lines.pop() ?? "";
    for (const line of lines) if (line.trim() !== "") this.take(line.trim());
    if (this.text.length > MAXIMUM_LINE_BYTES) this.refuse("a request is a line");
  }

  private take(line: string): void {
    if (line.length > MAXIMUM_LINE_BYTES) return this.refuse("the line is too long");
    if (++this.queued > MAXIMUM_QUEUED) return this.refuse("too many requests wait");
    this.last = this.answerAfter(this.last, line);
  }

  private async answerAfter(others: Promise<void>, line: string): Promise<void> {
    await others;
    this.send(`${JSON.stringify(await this.answer(line))}\n`);
    this.queued--;
  }

  private async answer(line: string): Promise<object> {
    let id: Id | undefined;
    try {
      const parsed = parseLine(line);
      ({ id } = parsed);
      const result = await this.serve(parsed.request());
      return { id, ok: true, result };
    } catch (error) {
      if (!(error instanceof ControlError)) throw error;
      return { id, ok: false, error: error.message };
    }
  }

  private refuse(reason: string): void {
    this.text = "";
    this.send(`${JSON.stringify({ ok: false, error: reason })}\n`);
    this.hangUp();
  }

  /** When all that has come is answered. */
  get finished(): Promise<void> {
    return this.last;
  }
}
