/**
 * Is there an order of these operations that respects real time and that the model allows? The search of Wing and Gong with
 * the memory of Lowe and of Porcupine: what was linearized and the state it led to are never looked at twice. An operation
 * of unknown outcome has no return and no output: it took effect at any time after its call, or never.
 */
export interface Operation<Input, Output> {
  readonly input: Input;
  /** Undefined: the outcome is unknown. */
  readonly output: Output | undefined;
  /** Any clock that orders calls and returns; no two events share a moment. */
  readonly call: number;
  /** Infinity when the outcome is unknown. */
  readonly return: number;
}

export interface Model<State, Input, Output> {
  readonly initial: State;
  /** All states in which the operation can leave; none: it cannot take effect here with that output. */
  step(state: State, input: Input, output: Output | undefined): readonly State[];
  /** Equal for equal states. */
  key(state: State): string;
}

export type Linearizability<Input, Output> =
  | { readonly type: 'linearizable' }
  /** `stuckAt`: what could not be placed after the longest order found. */
  | { readonly type: 'violation'; readonly stuckAt: readonly Operation<Input, Output>[] }
  /** The search was given up after `stepsMax`. */
  | { readonly type: 'unknown' };

export function checkLinearizable<State, Input, Output>(
  model: Model<State, Input, Output>,
  operations: readonly Operation<Input, Output>[],
  stepsMax = 200_000,
): Linearizability<Input, Output> {
  return new Search(model, operations, stepsMax).run();
}

class Search<State, Input, Output> {
  readonly #model: Model<State, Input, Output>;
  /** By call. */
  readonly #operations: readonly Operation<Input, Output>[];
  readonly #placed: boolean[];
  /** The list of those that are not placed: `#next[i + 1]` follows i, `#next[0]` is the first. */
  readonly #next: number[];
  readonly #seen = new Set<string>();
  #open: number;
  #steps: number;
  #best = Infinity;
  #stuckAt: readonly Operation<Input, Output>[] = [];

  constructor(
    model: Model<State, Input, Output>,
    operations: readonly Operation<Input, Output>[],
    stepsMax: number,
  ) {
    this.#model = model;
    this.#operations = operations.toSorted((a, b) => a.call - b.call);
    this.#placed = this.#operations.map(() => false);
    this.#next = Array.from({ length: operations.length + 1 }, (_, at) => at);
    this.#open = operations.filter((operation) => operation.return !== Infinity).length;
    this.#steps = stepsMax;
  }

  run(): Linearizability<Input, Output> {
    const found = this.#from(this.#model.initial, 0);
    if (found) return { type: 'linearizable' };
    return this.#steps < 0 ? { type: 'unknown' } : { type: 'violation', stuckAt: this.#stuckAt };
  }

  /** `horizon`: behind it nothing is placed. */
  #from(state: State, horizon: number): boolean {
    if (this.#open === 0) return true;
    if (--this.#steps < 0) return false;
    const candidates: { readonly at: number; readonly before: number }[] = [];
    let key = `${horizon}`;
    let earliestReturn = Infinity;
    let before = 0;
    for (let at = this.#next[0]!; at < this.#operations.length; at = this.#next[at + 1]!) {
      const operation = this.#operations[at]!;
      const isCandidate = operation.call < earliestReturn;
      if (at >= horizon && !isCandidate) break;
      if (at < horizon) key += `,${at}`;
      if (isCandidate) candidates.push({ at, before });
      earliestReturn = Math.min(earliestReturn, operation.return);
      before = at + 1;
    }
    key += `|${this.#model.key(state)}`;
    if (this.#seen.has(key)) return false;
    this.#seen.add(key);
    if (this.#open < this.#best) {
      this.#best = this.#open;
      this.#stuckAt = candidates.map(({ at }) => this.#operations[at]!);
    }
    return candidates.some(({ at, before: link }) => this.#place(state, horizon, at, link));
  }

  #place(state: State, horizon: number, at: number, link: number): boolean {
    const { input, output, return: returned } = this.#operations[at]!;
    const states = this.#model.step(state, input, output);
    if (states.length === 0) return false;
    this.#placed[at] = true;
    this.#next[link] = this.#next[at + 1]!;
    if (returned !== Infinity) this.#open--;
    const found = states.some((next) => this.#from(next, Math.max(horizon, at + 1)));
    if (returned !== Infinity) this.#open++;
    this.#next[link] = at;
    this.#placed[at] = false;
    return found;
  }
}
