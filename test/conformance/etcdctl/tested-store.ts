/**
 * A store alone for the tests of one file, and the programs of etcdctl that go on while a test looks at what they print. Without
 * etcdctl on the machine all these tests are skipped.
 */
import { strict as assert } from 'node:assert';
import { waitFor } from '../../../deploy/wait.js';
import type { Program } from '../../harness/program.js';
import { hasEtcdctl, startStoreAlone, type StoreAlone } from '../../harness/store-alone.js';

/** To be called in a `describe`. */
export function testedStore() {
  let store: StoreAlone;
  const running: Program[] = [];
  const endAfterTest = (program: Program): Program => {
    running.push(program);
    return program;
  };
  before(async function () {
    if (!hasEtcdctl()) return this.skip();
    store = await startStoreAlone();
  });
  afterEach(() => {
    for (const program of running.splice(0)) program.process.kill('SIGINT');
  });
  after(() => store?.remove());
  return {
    get store(): StoreAlone {
      return store;
    },
    /** Ctrl-C, and a start on the same data and ports. */
    restart: async (): Promise<void> => {
      assert.equal(await store.stop(), 0);
      store = await startStoreAlone({ dataDir: store.dataDir, ports: store.ports });
    },
    etcdctl: (...args: string[]) => store.etcdctl(...args),
    /** The last line that it says when it fails. */
    refusal: async (...args: string[]): Promise<string | undefined> => {
      const outcome = await store.tryEtcdctl(args);
      assert.notEqual(outcome.code, 0, outcome.stdout);
      return outcome.stderr.trim().split('\n').at(-1);
    },
    endAfterTest,
    /** Of etcdctl, ended after the test. */
    start: (...args: string[]): Program => endAfterTest(store.startEtcdctl(...args)),
    printed: (program: Program, text: string | RegExp) =>
      waitFor(`${program.line} to print ${text}`, 15_000, async () => {
        const { stdout } = program;
        if (typeof text === 'string' ? stdout.includes(text) : text.test(stdout)) return true;
        throw new Error(`it printed ${stdout}`);
      }),
  };
}
