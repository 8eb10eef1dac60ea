/**
 * One key as clients see it: put, delete, compare-and-swap and read, each with the revision that the store said. A history
 * over several keys is judged key by key (linearizability is local), a transaction as one operation on each of its keys;
 * that it is atomic is judged by `truth-check.ts`.
 */
import type { Model, Operation } from './linearizability.js';
import type { Recorded } from './history.js';

export type KeyInput =
  | { readonly type: 'put'; readonly value: string }
  | { readonly type: 'delete' }
  | { readonly type: 'cas'; readonly expectedMod: number; readonly value: string }
  | { readonly type: 'read' };

export interface KeyOutput {
  readonly revision: number;
  readonly wrote: boolean;
  /** Undefined: it did not look. Of a delete: what it deleted. */
  readonly seen: { readonly value: string; readonly mod: number } | null | undefined;
}

export interface KeyState {
  readonly value: string | null;
  /** 0: absent. -1: written by an operation that never heard of its revision. */
  readonly mod: number;
  /** No later operation may name an earlier revision. */
  readonly revision: number;
}

type Step = readonly KeyState[];
const NEVER: Step = [];

export const keyModel: Model<KeyState, KeyInput, KeyOutput> = {
  initial: { value: null, mod: 0, revision: 0 },
  key: ({ value, mod, revision }) => `${value ?? ''}/${mod}/${revision}`,
  step: (state, input, output) => {
    if (output === undefined) return unknownOutcome(state, input);
    if (output.revision < state.revision) return NEVER;
    const before = looked(state, output);
    if (before === null) return NEVER;
    if (!output.wrote) return unchanged(before, input, output);
    // A write makes a revision of its own, later than any that was told before.
    if (output.revision === state.revision) return NEVER;
    return written(before, input, output);
  },
};

function unknownOutcome(state: KeyState, input: KeyInput): Step {
  switch (input.type) {
    case 'read':
      return [state];
    case 'delete':
      return [{ ...state, value: null, mod: 0 }];
    case 'put':
      return [{ ...state, value: input.value, mod: -1 }];
    case 'cas':
      // Without effect it is as if it had never been: the search may leave it out.
      return mayBe(state, input.expectedMod) ? [{ ...state, value: input.value, mod: -1 }] : NEVER;
  }
}

/** The state with what the operation saw filled in; null: it cannot have seen that here. */
function looked(state: KeyState, { seen, revision }: KeyOutput): KeyState | null {
  if (seen === undefined) return state;
  if (seen === null) return state.value === null ? state : null;
  if (seen.value !== state.value || seen.mod > revision) return null;
  if (state.mod === seen.mod) return state;
  return state.mod === -1 && seen.mod > state.revision ? { ...state, mod: seen.mod } : null;
}

function unchanged(state: KeyState, input: KeyInput, { revision }: KeyOutput): Step {
  const after = { ...state, revision };
  switch (input.type) {
    case 'read':
      return [after];
    case 'put':
      return NEVER;
    case 'delete':
      return state.value === null ? [after] : NEVER;
    case 'cas':
      return state.mod === input.expectedMod ? NEVER : [after];
  }
}

function written(state: KeyState, input: KeyInput, { revision }: KeyOutput): Step {
  switch (input.type) {
    case 'read':
      return NEVER;
    case 'put':
      return [{ value: input.value, mod: revision, revision }];
    case 'delete':
      return state.value === null ? NEVER : [{ value: null, mod: 0, revision }];
    case 'cas':
      return mayBe(state, input.expectedMod) ? [{ value: input.value, mod: revision, revision }] : NEVER;
  }
}

function mayBe(state: KeyState, mod: number): boolean {
  return state.mod === mod || (state.mod === -1 && mod > state.revision);
}

/** What the history says about one key. Stale reads (serializable, of a revision) promise nothing about real time. */
export function operationsOn(
  key: string,
  history: readonly Recorded[],
): readonly Operation<KeyInput, KeyOutput>[] {
  const all = history.flatMap((recorded): Operation<KeyInput, KeyOutput>[] => {
    const input = inputOn(key, recorded);
    const { outcome, call } = recorded;
    if (input === undefined || outcome.type === 'refused') return [];
    if (outcome.type === 'unknown') {
      return input.type === 'read' ? [] : [{ input, output: undefined, call, return: Infinity }];
    }
    const { revision, wrote, seen } = outcome;
    return [{ input, output: { revision, wrote, seen: seen.get(key) }, call, return: recorded.return }];
  });
  // Also by reads that promise nothing about time: who compares with what they saw, builds on it.
  const observed = new Set(
    history.flatMap(({ outcome }) => (outcome.type === 'ok' ? [outcome.seen.get(key)?.value] : [])),
  );
  // An unknown write that nobody saw may be left out: nobody can tell whether it happened.
  return all.filter(
    ({ input, output }) =>
      output !== undefined || input.type === 'delete' || input.type === 'read' || observed.has(input.value),
  );
}

function inputOn(key: string, { intent }: Recorded): KeyInput | undefined {
  switch (intent.type) {
    case 'put': {
      const entry = intent.entries.find(([name]) => name === key);
      return entry && { type: 'put', value: entry[1] };
    }
    case 'delete':
      return intent.key === key ? { type: 'delete' } : undefined;
    case 'cas':
      return intent.key === key
        ? { type: 'cas', expectedMod: intent.expectedMod, value: intent.value }
        : undefined;
    case 'read':
      return intent.keys.includes(key) && !intent.serializable && intent.revision === undefined
        ? { type: 'read' }
        : undefined;
    case 'revision':
      return undefined;
  }
}
