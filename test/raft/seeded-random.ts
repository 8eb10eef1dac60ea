/** A small seeded generator for tests (mulberry32): the same seed, the same run. */
export interface SeededRandom {
  (): number;
  /** Uniform integer in [0, below). */
  below(below: number): number;
  pick<T>(items: readonly T[]): T;
}

export function seededRandom(seed: number): SeededRandom {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  const below = (bound: number): number => Math.floor(next() * bound);
  return Object.assign(next, { below, pick: <T>(items: readonly T[]): T => items[below(items.length)]! });
}

/**
 * Runs `body` for each seed. A failure names the seed and how to run it alone; `KABUKI_SEED` picks one.
 */
export async function forEachSeed(
  count: number,
  title: string,
  body: (random: SeededRandom, seed: number) => void | Promise<void>,
): Promise<void> {
  const only = process.env['KABUKI_SEED'];
  const seeds = only === undefined ? Array.from({ length: count }, (_, at) => at + 1) : [Number(only)];
  for (const seed of seeds) {
    try {
      await body(seededRandom(seed), seed);
    } catch (cause) {
      const replay = `KABUKI_SEED=${seed} npx mocha --no-config 'dist/test/raft/**/*.test.js' -g '${title}'`;
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`seed ${seed}: ${reason}\nreplay: ${replay}`, { cause });
    }
  }
}
