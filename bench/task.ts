/** What there is to be run. */
import type { MachineTask } from "./machine-task.ts";

/** Files that tasks read, made before the first is run. */
export interface Inputs {
  /** The folder they are in, which is the tasks' current directory too. */
  readonly folder: string;
}

export interface Task {
  readonly name: string;
  /** Programs it needs besides the one it runs; without them it is left out. */
  readonly needs?: readonly string[];
  /** The command line, its program named by a path; undefined when the program is not installed. */
  readonly command: (inputs: Inputs) => readonly string[] | undefined;
  /** A file of the inputs to read standard input from. */
  readonly stdin?: string;
  /**
   * The command is a server that listens at the port given; what is timed is this client, which runs natively. The
   * output of neither is compared.
   */
  readonly client?: { readonly port: number; readonly command: readonly string[] };
}

/** What a suite is prepared with. */
export interface Preparation {
  /** What starts `doppel`. */
  readonly doppel: readonly string[];
  readonly note: (text: string) => void;
}

export interface Suite {
  readonly name: string;
  readonly title: string;
  /** Makes the files its tasks read. */
  readonly prepare?: (folder: string, preparation: Preparation) => void;
  readonly tasks: readonly Task[];
  /** Whole machines, for contenders that run such. */
  readonly machines?: readonly MachineTask[];
}
