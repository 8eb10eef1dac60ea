/**
 * Shares a change of size among the active replica sets of a deployment in the middle of a rollout, in proportion to
 * their sizes, so that the rollout's risk stays what it was (kubernetes: proportional scaling). Pure.
 */
export interface Sized<T> {
  readonly set: T;
  readonly size: number;
  /** The whole deployment's allowed size when this set was last scaled; NaN when unknown. */
  readonly max: number;
}

/** `allowed`: how many pods all sets may have together. What rounding leaves over goes to the largest. */
export function proportionalSizes<T>(
  sets: readonly Sized<T>[],
  allowed: number,
): readonly { set: T; size: number }[] {
  const total = sets.reduce((sum, { size }) => sum + size, 0);
  let left = allowed - total;
  if (left === 0) return sets.map(({ set, size }) => ({ set, size }));
  // Larger ones first; of equals the newer when growing, the older when shrinking.
  const order = sets
    .map((_, i) => i)
    .sort((a, b) => {
      const bySize = (sets[b]?.size ?? 0) - (sets[a]?.size ?? 0);
      return bySize !== 0 ? bySize : left > 0 ? b - a : a - b;
    });
  const sizes = sets.map(({ size }) => size);
  for (const i of order) {
    const { size = 0, max = Number.NaN } = sets[i] ?? {};
    const before = Number.isFinite(max) && max > 0 ? max : total;
    const share = Math.round((size * allowed) / before) - size;
    const change = left > 0 ? Math.min(Math.max(share, 0), left) : Math.max(Math.min(share, 0), left);
    sizes[i] = size + change;
    left -= change;
  }
  const largest = order[0];
  if (largest !== undefined) sizes[largest] = Math.max(0, (sizes[largest] ?? 0) + left);
  return sets.map(({ set }, i) => ({ set, size: sizes[i] ?? 0 }));
}
