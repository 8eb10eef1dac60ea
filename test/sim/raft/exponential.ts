/** What chance has by itself: mostly little, seldom much. */
import type { Random } from '../../../transport/index.js';

export function exponential(random: Random, mean: number): number {
  return -Math.log(1 - random.next()) * mean;
}
