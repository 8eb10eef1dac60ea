/** Step `namespace`: a namespace with mixed objects is deleted, and everything in it goes. */
import { strict as assert } from 'node:assert';
import { waitFor } from '../../deploy/wait.js';
import { inParallel } from './api.js';
import { type Stage, withApi } from './stage.js';

const name = 'soak-namespace';
const path = `/api/v1/namespaces/${name}`;
const objects = 500;

export function namespaceStep(stage: Stage): Promise<undefined> {
  return withApi(stage, 4, async (api) => {
    await api.expect(201, 'POST', '/api/v1/namespaces', { metadata: { name } });
    await inParallel(objects, 16, (i) => api.expect(201, 'POST', ...one(i)));
    const begun = performance.now();
    await stage.cluster.kubectl.run('delete', 'namespace', name, '--wait=false');
    await waitFor(
      'the namespace to be gone',
      60_000,
      async () => (await api.call('GET', path)).status === 404,
    );
    stage.say(`${objects} objects and their namespace gone after ${seconds(begun)} s`);
    for (const kind of ['configmaps', 'secrets', 'services', 'serviceaccounts']) {
      const { items } = await api.expect<{ items: unknown[] }>(200, 'GET', `${path}/${kind}`);
      assert.equal(items.length, 0, `${kind} left in it`);
    }
    return undefined;
  });
}

function one(i: number): [path: string, body: unknown] {
  const metadata = { name: `object-${i}` };
  switch (i % 3) {
    case 0:
      return [`${path}/configmaps`, { metadata, data: { text: 'x'.repeat(200) } }];
    case 1:
      return [`${path}/secrets`, { metadata, stringData: { text: 'x'.repeat(200) } }];
    default:
      return [`${path}/services`, { metadata, spec: { selector: { app: 'none' }, ports: [{ port: 80 }] } }];
  }
}

function seconds(since: number): string {
  return ((performance.now() - since) / 1000).toFixed(1);
}
