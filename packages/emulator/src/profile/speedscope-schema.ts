/** The part of speedscope's file format that `sampled` profiles use, as a schema; see speedscope.ts. */
import { z } from "zod";
import type { SpeedscopeFile } from "./speedscope.ts";

const frame = z.strictObject({
  name: z.string().min(1),
  file: z.string().exactOptional(),
  line: z.int().positive().exactOptional(),
});

const profile = z
  .strictObject({
    type: z.literal("sampled"),
    name: z.string(),
    unit: z.literal("microseconds"),
    startValue: z.number(),
    endValue: z.number(),
    samples: z.array(z.array(z.int().nonnegative()).min(1)),
    weights: z.array(z.number().nonnegative()),
  })
  .refine(({ samples, weights }) => samples.length === weights.length, "a weight for each sample")
  .refine(
    ({ startValue, endValue, weights }) =>
      Math.abs(endValue - startValue - weights.reduce((sum, weight) => sum + weight, 0)) < 1,
    "the samples last from start to end",
  );

export const speedscopeSchema: z.ZodType<SpeedscopeFile> = z
  .strictObject({
    $schema: z.literal("https://www.speedscope.app/file-format-schema.json"),
    name: z.string(),
    exporter: z.string(),
    activeProfileIndex: z.literal(0),
    shared: z.strictObject({ frames: z.array(frame) }),
    profiles: z.tuple([profile]),
  })
  .refine(
    ({ shared, profiles }) =>
      profiles.every(({ samples }) => samples.every((stack) => stack.every((index) => index < shared.frames.length))),
    "frames are among those listed",
  );
