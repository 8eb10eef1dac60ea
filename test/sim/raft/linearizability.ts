/**
 * Is there an order of these operations that respects real time and that the model allows? The search of Wing and Gong with
 * the memory of Lowe and of Porcupine: what was linearized and the state it led to are never looked at twice. An operation
 * of unknown outcome has no return and no output: it took effect at any time after its call, or never. The search keeps its
 * own stack: it is as deep as the history is long.
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
    this.#next = Array.from({ length: operations.length + 1 }, (_, at) => at);
    this.#open = operations.filter((operation) => operation.return !== Infinity).length;
    this.#steps = stepsMax;
  }

  run(): Linearizability<Input, Output> {
    const stack: Frame<State>[] = [];
    let next: Point<State> | undefined = { state: this.#model.initial, horizon: 0 };
    for (;;) {
      if (next !== undefined) {
        if (this.#open === 0) return { type: 'linearizable' };
        if (--this.#steps < 0) return { type: 'unknown' };
        const candidates = this.#candidates(next);
        if (candidates !== null) stack.push({ ...next, candidates, tried: -1, states: [], reached: 0 });
      }
      const frame = stack.at(-1);
      if (frame === undefined) return { type: 'violation', stuckAt: this.#stuckAt };
      next = this.#advance(frame);
      if (next === undefined) stack.pop();
    }
  }

  /** What may come next; null: the search has been here before. */
  #candidates({ state, horizon }: Point<State>): readonly Candidate[] | null {
    const candidates: Candidate[] = [];
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
    if (this.#seen.has(key)) return null;
    this.#seen.add(key);
    if (this.#open < this.#best) {
      this.#best = this.#open;
      this.#stuckAt = candidates.map(({ at }) => this.#operations[at]!);
    }
    return candidates;
  }

  /** The next point to go to from here; undefined when all have been tried. */
  #advance(frame: Frame<State>): Point<State> | undefined {
    for (;;) {
      const placed = frame.candidates[frame.tried];
      if (placed !== undefined && frame.reached < frame.states.length) {
        const horizon = Math.max(frame.horizon, placed.at + 1);
        return { state: frame.states[frame.reached++]!, horizon };
      }
      if (placed !== undefined && frame.states.length > 0) this.#takeBack(placed);
      const candidate = frame.candidates[++frame.tried];
      if (candidate === undefined) return undefined;
      const { input, output } = this.#operations[candidate.at]!;
      frame.states = this.#model.step(frame.state, input, output);
      frame.reached = 0;
      if (frame.states.length > 0) this.#place(candidate);
    }
  }

  #place({ at, before }: Candidate): void {
    this.#next[before] = this.#next[at + 1]!;
    if (this.#operations[at]!.return !== Infinity) this.#open--;
  }

  #takeBack({ at, before }: Candidate): void {
    this.#next[before] = at;
    if (this.#operations[at]!.return !== Infinity) this.#open++;
  }
}

interface Point<State> {
  readonly state: State;
  /** Behind it nothing is placed. */
  readonly horizon: number;
}

interface Candidate {
  readonly at: number;
  /** The link that leads to it. */
  readonly before: number;
}

interface Frame<State> extends Point<State> {
  readonly candidates: readonly Candidate[];
  tried: number;
  /** In which the operation that was tried can leave; one after the other is gone into. */
  states: readonly State[];
  reached: number;
}
