/** The checker itself, before it may judge: known histories, and many small random ones against trying every order. */
import { strict as assert } from 'node:assert';
import { forEachSeed, type SeededRandom } from '../../raft/seeded-random.js';
import type { Intent, Outcome, Recorded } from './history.js';
import { type KeyInput, keyModel, type KeyOutput, operationsOn } from './key-model.js';
import { checkLinearizable, type Model, type Operation } from './linearizability.js';

type Register = Operation<{ readonly write?: number }, { readonly read?: number }>;

/** A register: `write` sets it, a read sees it. */
const register: Model<number, { readonly write?: number }, { readonly read?: number }> = {
  initial: 0,
  key: String,
  step: (state, { write }, output) => {
    if (write !== undefined) return [write];
    return output === undefined || output.read === state ? [state] : [];
  },
};

const write = (value: number, call: number, end: number): Register => ({
  input: { write: value },
  output: end === Infinity ? undefined : {},
  call,
  return: end,
});
const read = (value: number, call: number, end: number): Register => ({
  input: {},
  output: { read: value },
  call,
  return: end,
});

describe('the linearizability checker', function () {
  this.timeout(20_000);

  it('accepts reads that overlap a write and see either side of it', () => {
    assert.equal(verdict([write(1, 1, 6), read(0, 2, 3), read(1, 4, 5)]), 'linearizable');
  });

  it('rejects a stale read', () => {
    assert.equal(verdict([write(1, 1, 2), read(0, 3, 4)]), 'violation');
  });

  it('rejects a read that goes back behind what another client saw', () => {
    assert.equal(verdict([write(1, 1, 10), read(1, 2, 3), read(0, 4, 5)]), 'violation');
  });

  it('rejects a value that nobody wrote, and a lost write', () => {
    assert.equal(verdict([write(1, 1, 2), read(7, 3, 4)]), 'violation');
    assert.equal(verdict([write(1, 1, 2), write(2, 3, 4), read(1, 5, 6)]), 'violation');
  });

  it('lets a write of unknown outcome happen late, or never, but not before its call', () => {
    assert.equal(verdict([write(1, 1, Infinity), read(0, 2, 3), read(1, 4, 5)]), 'linearizable');
    assert.equal(verdict([write(1, 1, Infinity), read(0, 2, 3)]), 'linearizable');
    assert.equal(verdict([read(1, 1, 2), write(1, 3, Infinity)]), 'violation');
    assert.equal(verdict([write(1, 1, Infinity), read(1, 2, 3), read(0, 4, 5)]), 'violation');
  });

  it('gives up instead of searching for ever', () => {
    const tangled = Array.from({ length: 30 }, (_, at) => write(at, at, 1_000 + at));
    const result = checkLinearizable(register, [...tangled, read(99, 3_000, 3_001)], 500);
    assert.equal(result.type, 'unknown');
  });

  it('judges a history that is longer than the stack is deep', () => {
    const long = Array.from({ length: 20_000 }, (_, at) => write(at, 2 * at, 2 * at + 1));
    const end = read(19_999, 50_000, 50_001);
    assert.equal(verdict([...long, end]), 'linearizable');
    assert.equal(verdict([...long, { ...end, output: { read: 5 } }]), 'violation');
  });

  it('agrees with trying every order, on random histories of a register', async () => {
    const seen = { linearizable: 0, violation: 0 };
    await forEachSeed(1_500, 'on random histories of a register', (random) => {
      const history = randomHistory(random);
      const expected = bruteForce(register, history) ? 'linearizable' : 'violation';
      assert.equal(verdict(history), expected, JSON.stringify(history));
      seen[expected] += 1;
    });
    const { linearizable, violation } = seen;
    if (linearizable + violation > 1) assert(linearizable > 100 && violation > 100, JSON.stringify(seen));
  });

  it('agrees with trying every order, on random histories of a key with revisions', async () => {
    const seen = { linearizable: 0, violation: 0 };
    await forEachSeed(1_500, 'on random histories of a key with revisions', (random) => {
      const history = randomKeyHistory(random);
      const expected = bruteForce(keyModel, history) ? 'linearizable' : 'violation';
      assert.equal(checkLinearizable(keyModel, history).type, expected, JSON.stringify(history));
      seen[expected] += 1;
    });
    const { linearizable, violation } = seen;
    if (linearizable + violation > 1) assert(linearizable > 100 && violation > 100, JSON.stringify(seen));
  });
});

describe('the model of a key', () => {
  it('rejects a reply that names an earlier revision than the one before', () => {
    assert.equal(judge([put('a', 5), seeing('a', 5, 4)]), 'violation');
    assert.equal(judge([put('a', 5), seeing('a', 5, 9)]), 'linearizable');
  });

  it('rejects a lost update: two compare-and-swaps from the same version', () => {
    assert.equal(judge([put('a', 2), cas(2, 'b', 3), cas(2, 'c', 4)]), 'violation');
    assert.equal(judge([put('a', 2), cas(2, 'b', 3), cas(3, 'c', 4)]), 'linearizable');
  });

  it('rejects a delete that was acknowledged and is undone', () => {
    assert.equal(judge([put('a', 2), remove('a', 2, 3), seeing('a', 2, 4)]), 'violation');
  });

  it('takes the revision of an unknown write from the first to see it, and holds to it', () => {
    const unknown = { ...put('a', 0), outcome: { type: 'unknown', why: '' } as const };
    assert.equal(judge([unknown, seeing('a', 3, 3), seeing('a', 3, 5)]), 'linearizable');
    assert.equal(judge([unknown, seeing('a', 3, 3), seeing('a', 4, 5)]), 'violation');
  });

  it('lets one build on an unknown write that only a stale read has seen', () => {
    const unknown = { ...put('a', 0), outcome: { type: 'unknown', why: '' } as const };
    const stale = seeing('a', 3, 3);
    const serializable = { ...stale, intent: { ...stale.intent, serializable: true } };
    assert.equal(judge([unknown, serializable, cas(3, 'b', 4)]), 'linearizable');
  });

  it('holds a refused write for one that never happened', () => {
    const refused = { ...put('a', 0), outcome: { type: 'refused', why: '' } as const };
    assert.equal(judge([refused, seeing('a', 3, 3)]), 'violation');
  });
});

function verdict(history: readonly Register[]): string {
  return checkLinearizable(register, history).type;
}

/** One after another, on one key. */
function judge(steps: readonly { readonly intent: Intent; readonly outcome: Outcome }[]): string {
  const history = steps.map((step, at): Recorded => ({
    client: 'c',
    ...step,
    call: 2 * at,
    return: 2 * at + 1,
  }));
  return checkLinearizable(keyModel, operationsOn('k', history)).type;
}

function put(value: string, at: number) {
  return { intent: { type: 'put', entries: [['k', value]] } as const, outcome: ok(at, true) };
}
function cas(expectedMod: number, value: string, at: number) {
  return { intent: { type: 'cas', key: 'k', expectedMod, value } as const, outcome: ok(at, true) };
}
function remove(value: string, mod: number, at: number) {
  return { intent: { type: 'delete', key: 'k' } as const, outcome: ok(at, true, value, mod) };
}
function seeing(value: string, mod: number, at: number) {
  return {
    intent: { type: 'read', keys: ['k'], serializable: false } as const,
    outcome: ok(at, false, value, mod),
  };
}
function ok(revision: number, wrote: boolean, value?: string, mod = 0): Outcome {
  const seen = new Map(value === undefined ? [] : [['k', { value, mod, create: mod, version: 1 }]]);
  return { type: 'ok', revision, wrote, seen };
}

function randomHistory(random: SeededRandom): Register[] {
  return moments(random, 2 + random.below(5)).map(([call, end]) => {
    const value = random.below(3);
    if (random() < 0.5) return read(value, call, end);
    return write(value, call, random() < 0.25 ? Infinity : end);
  });
}

function randomKeyHistory(random: SeededRandom): Operation<KeyInput, KeyOutput>[] {
  const values = ['a', 'b', 'c'];
  return moments(random, 2 + random.below(4)).map(([call, end]) => {
    const input = random.pick<KeyInput>([
      { type: 'put', value: random.pick(values) },
      { type: 'put', value: random.pick(values) },
      { type: 'delete' },
      { type: 'cas', expectedMod: random.below(4), value: random.pick(values) },
      { type: 'read' },
      { type: 'read' },
    ]);
    if (input.type !== 'read' && random() < 0.25) {
      return { input, output: undefined, call, return: Infinity };
    }
    const seen = random() < 0.3 ? null : { value: random.pick(values), mod: 1 + random.below(3) };
    const isLooking = input.type === 'read' || input.type === 'delete';
    const wrote = input.type === 'put' || (input.type !== 'read' && random() < 0.7);
    const revision = 1 + random.below(4);
    return { input, output: { revision, wrote, seen: isLooking ? seen : undefined }, call, return: end };
  });
}

/** Calls and returns at random, all at different moments. */
function moments(random: SeededRandom, count: number): (readonly [number, number])[] {
  const free = Array.from({ length: 2 * count }, (_, at) => at + 1);
  const take = () => free.splice(random.below(free.length), 1)[0]!;
  return Array.from({ length: count }, () => [take(), take()].toSorted((a, b) => a - b) as [number, number]);
}

function bruteForce<S, I, O>(model: Model<S, I, O>, history: readonly Operation<I, O>[]): boolean {
  const explore = (state: S, left: readonly Operation<I, O>[]): boolean => {
    if (left.every((operation) => operation.return === Infinity)) return true;
    return left.some((operation) => {
      const rest = left.filter((other) => other !== operation);
      if (rest.some((other) => other.return < operation.call)) return false;
      return model.step(state, operation.input, operation.output).some((next) => explore(next, rest));
    });
  };
  return explore(model.initial, history);
}
