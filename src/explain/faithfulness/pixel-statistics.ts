import { createRunningMoments } from '../../shared/kernels/running-moments.js';

/** Of the values that each pixel may take, in the form of the image: by pixel and channel. */
export interface PixelStatistics {
  means: Float32Array;
  deviations: Float32Array;
}

/** Mean and deviation of each pixel and channel over a set of images of one form. */
export function statisticsOfSet(images: Iterable<Float32Array>, size: number): PixelStatistics {
  const running = createRunningMoments(size);
  for (const image of images) running.add(image);
  return running.moments();
}

/** Where only one image is known: mean and deviation of all its values, at every pixel. */
export function statisticsOfImage(image: Float32Array): PixelStatistics {
  const { mean, deviation } = momentsOf(image);
  return {
    means: new Float32Array(image.length).fill(mean),
    deviations: new Float32Array(image.length).fill(deviation),
  };
}

/** Of all values of an image. */
export function momentsOf(image: Float32Array): { mean: number; deviation: number } {
  const mean = image.reduce((sum, value) => sum + value, 0) / image.length;
  const variance = image.reduce((sum, value) => sum + (value - mean) ** 2, 0) / image.length;
  return { mean, deviation: Math.sqrt(variance) };
}
