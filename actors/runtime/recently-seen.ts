/**
 * Tells what came a second time: networks double letters, and a request that is carried out twice can undo what came
 * between. Remembers at least half of `max` and at most `max` names, in two generations, so that nothing grows; with 0 it
 * remembers nothing.
 */
export class RecentlySeen {
  readonly #max: number;
  #young = new Set<string>();
  #old: ReadonlySet<string> = new Set();

  constructor(max: number) {
    this.#max = max;
  }

  /** True if the name was given before and is still remembered; remembers it either way. */
  again(name: string): boolean {
    if (this.#max === 0) return false;
    if (this.#young.has(name) || this.#old.has(name)) return true;
    if (this.#young.size * 2 >= this.#max) {
      this.#old = this.#young;
      this.#young = new Set();
    }
    this.#young.add(name);
    return false;
  }
}
