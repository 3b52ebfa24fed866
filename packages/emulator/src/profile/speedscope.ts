/**
 * Profiles as speedscope reads them: its own file format, a `sampled` profile
 * (https://www.speedscope.app/file-format-schema.json).
 */
export interface SpeedscopeFrame {
  readonly name: string;
  readonly file?: string;
  readonly line?: number;
}

export interface SpeedscopeFile {
  readonly $schema: "https://www.speedscope.app/file-format-schema.json";
  readonly name: string;
  readonly exporter: string;
  readonly activeProfileIndex: number;
  readonly shared: { readonly frames: readonly SpeedscopeFrame[] };
  readonly profiles: readonly SpeedscopeProfile[];
}

export interface SpeedscopeProfile {
  readonly type: "sampled";
  readonly name: string;
  readonly unit: "microseconds";
  readonly startValue: number;
  readonly endValue: number;
  /** Indices of frames, the outermost first. */
  readonly samples: readonly (readonly number[])[];
  readonly weights: readonly number[];
}

/** Frames, each once, by what identifies it. */
export class FrameTable {
  readonly frames: SpeedscopeFrame[] = [];
  private readonly indices: Map<string, number> = new Map();

  index(frame: SpeedscopeFrame): number {
    const key = `${frame.name}\n${frame.file ?? ""}\n${frame.line ?? ""}`;
    let index = this.indices.get(key);
    if (index === undefined) this.indices.set(key, (index = this.frames.push(frame) - 1));
    return index;
  }
}

export function speedscopeFile(
  name: string,
  frames: readonly SpeedscopeFrame[],
  samples: readonly (readonly number[])[],
  weights: readonly number[],
): SpeedscopeFile {
  return {
    $schema: "https://www.speedscope.app/file-format-schema.json",
    name,
    exporter: "doppel",
    activeProfileIndex: 0,
    shared: { frames },
    profiles: [
      {
        type: "sampled",
        name,
        unit: "microseconds",
        startValue: 0,
        endValue: weights.reduce((sum, weight) => sum + weight, 0),
        samples,
        weights,
      },
    ],
  };
}
