/** Transactions that share an entry of the log: each has its own revision and outcome. */
import { strict as assert } from 'node:assert';
import {
  type CommandBatch,
  decodeCommand,
  encodeBatch,
  encodeCommand,
  KvError,
  KvStore,
  type Op,
  revision,
} from 'raft-consensus';

const bytes = (text: string) => new Uint8Array(Buffer.from(text));
const put = (key: string, value: string): Op => ({ type: 'put', key, value: bytes(value) });

function txn(atMs: number, ...success: readonly Op[]): CommandBatch['commands'][number] {
  return { type: 'txn', atMs, txn: { type: 'txn', compare: [], success, failure: [] } };
}

describe('a batch of transactions', () => {
  const commands = [
    txn(1, put('a', '1')),
    { ...txn(2, put('b', '2')), context: 'from somewhere' },
    { ...txn(3, put('a', '3')), caller: { type: 'anonymous' } as const },
  ];

  it('is read back as it was written', () => {
    const batch = { type: 'batch', commands } as const;
    assert.deepEqual(decodeCommand(encodeCommand(batch)), batch);
    assert.deepEqual(encodeCommand(batch), encodeBatch(commands.map((one) => encodeCommand(one))));
  });

  it('gives each its revision and tells of each, and of the entry once', () => {
    const store = new KvStore();
    const told: string[] = [];
    store.listen({
      changed: (at, changes, context) => told.push(`${at} ${changes[0]!.kv.key} ${context ?? ''}`.trim()),
      applied: (index) => told.push(`entry ${index}`),
    });
    const applied = store.apply(decodeCommand(encodeCommand({ type: 'batch', commands })), 7);
    assert(!(applied instanceof KvError) && applied.result.type === 'batch');
    assert.deepEqual(
      applied.result.outcomes.map((outcome) => (outcome as { revision: number }).revision),
      [2, 3, 4],
    );
    assert.deepEqual(told, ['2 a', '3 b from somewhere', '4 a', 'entry 7']);
    assert.equal(store.appliedIndex, 7);
    assert.equal(store.clockMs, 3);
  });

  it('leaves the same state as its transactions one by one', () => {
    const [together, apart] = [new KvStore(), new KvStore()];
    together.apply({ type: 'batch', commands }, 3);
    for (const [i, command] of commands.entries()) apart.apply(command, i + 1);
    assert.equal(together.digest, apart.digest);
    assert.deepEqual(together.hash(), apart.hash());
  });

  it('refuses one of them and carries out the others', () => {
    const store = new KvStore();
    const refused = txn(2, { type: 'range', key: 'a', revision: revision(99) }, put('b', '2'));
    const applied = store.apply({ type: 'batch', commands: [commands[0]!, refused, commands[2]!] }, 1);
    assert(!(applied instanceof KvError) && applied.result.type === 'batch');
    const [first, second, third] = applied.result.outcomes;
    assert(!(first instanceof KvError) && !(third instanceof KvError));
    assert(second instanceof KvError && second.code === 'FutureRevision');
    assert.equal(store.revision, 3);
  });

  it('with anything else in it, or damaged, is no command', () => {
    const clock = encodeCommand({ type: 'clock', atMs: 1 });
    assert.throws(() => decodeCommand(encodeBatch([clock])), /a clock among the transactions/);
    const inner = encodeCommand(commands[0]!);
    assert.throws(() => decodeCommand(encodeBatch([encodeBatch([inner])])), /command format 3/);
    const whole = encodeBatch([inner, inner]);
    for (let length = 1; length < whole.length; length++) {
      assert.throws(() => decodeCommand(whole.slice(0, length)), /not a command/, `${length} bytes`);
    }
    const longer = Uint8Array.from(whole);
    longer[2]! += 1;
    assert.throws(() => decodeCommand(longer), /not a command/);
  });
});
