import { strict as assert } from 'node:assert';
import { type KeyValue, leaseId, revision, SimDisk } from 'raft-consensus';
import { RecordSorter } from '../../../../actors/store/backup/record-sorter.js';
import { seededRandom } from '../../../raft/seeded-random.js';

const byKey = (a: KeyValue, b: KeyValue) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0);

describe('sorting more records than fit into memory', () => {
  for (const [what, count, valueBytes] of [
    ['none', 0, 0],
    ['one run', 500, 100],
    ['several runs by their number', 45_000, 4],
    ['several runs by their bytes, some values larger than what is read ahead', 300, 90_000],
  ] as const) {
    it(`${what}: in order, equal ones as they came, each once`, async () => {
      const disk = new SimDisk();
      const random = seededRandom(count);
      const sorter = new RecordSorter(byKey, () => disk.open('runs', 'create'));
      const records = Array.from({ length: count }, (_, i) =>
        record(`k${random.below(1 + count / 3)}`, i, valueBytes),
      );
      for (const kv of records) await sorter.add(kv);
      const wanted = records.toSorted(byKey);
      for (const round of ['first', 'second']) {
        const found: KeyValue[] = [];
        for await (const batch of sorter.sorted()) found.push(...batch);
        assert.equal(found.length, count);
        found.forEach((kv, i) =>
          assert.equal(kv.modRevision, wanted[i]!.modRevision, `${round} time, record ${i}`),
        );
        if (count > 0) assert.deepEqual(found.at(-1), wanted.at(-1));
      }
      assert.equal((await disk.list()).length, count > 20_000 || valueBytes > 50_000 ? 1 : 0);
      await sorter.close();
    });
  }
});

function record(key: string, at: number, valueBytes: number): KeyValue {
  const numbers = {
    createRevision: revision(at),
    modRevision: revision(at),
    version: 1,
    lease: leaseId(at % 3),
  };
  return { key, value: new Uint8Array(valueBytes).fill(at), ...numbers };
}
