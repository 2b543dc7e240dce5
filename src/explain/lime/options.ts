import { z } from 'zod';

const optionsOf = {
  slic: ['segments', 'compactness'],
  quickshift: ['kernelSize', 'maxDistance', 'ratio'],
} as const;

/** Options of LIME as a user gives them. */
export const limeOptions = z
  .strictObject({
    samples: z.int().min(2).max(100_000).default(1000),
    segmentation: z.enum(['slic', 'quickshift']).default('slic'),
    segments: z.int().min(2).max(2000).optional(),
    compactness: z.number().positive().max(1e6).optional(),
    kernelSize: z.number().min(0.5).max(20).optional(),
    maxDistance: z.number().positive().max(1e6).optional(),
    ratio: z.number().min(0).max(1).optional(),
    hide: z.union([z.literal('mean'), z.number()], 'Expected mean or a number').default('mean'),
    topLabels: z.int().min(1).max(1000).default(1),
    shown: z.int().min(1).max(2000).default(5),
    seed: z.int().min(0).default(0),
    ridge: z.number().positive().max(1e9).default(1),
    kernelWidth: z.number().positive().max(1e3).default(0.25),
  })
  .superRefine((options, context) => {
    const other = options.segmentation === 'slic' ? 'quickshift' : 'slic';
    for (const key of optionsOf[other]) {
      if (options[key] === undefined) continue;
      context.addIssue({ code: 'custom', path: [key], message: `is an option of the segmentation ${other}` });
    }
  });

export type LimeOptions = z.infer<typeof limeOptions>;
