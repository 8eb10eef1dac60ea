/** Step `objects`: many small objects, lists in pages, many watchers, and a deletecollection. */
import { strict as assert } from 'node:assert';
import { waitFor } from '../../deploy/wait.js';
import { type Api, inParallel } from './api.js';
import { type Stage, withApi } from './stage.js';

const namespace = 'soak-objects';
const path = `/api/v1/namespaces/${namespace}/configmaps`;
const objects = 2_000;
const writers = 32;
const watchers = 200;
const connections = 8;
const pageObjects = 300;
/** The namespace's own `kube-root-ca.crt` stays. */
const label = { soak: 'objects' };
const selector = 'labelSelector=soak%3Dobjects';

interface List {
  readonly metadata: { readonly continue?: string; readonly resourceVersion: string };
  readonly items: readonly { readonly metadata: { readonly name: string } }[];
}

export function objectsStep(stage: Stage): Promise<undefined> {
  return withApi(stage, connections, async (api) => {
    await api.expect(201, 'POST', '/api/v1/namespaces', { metadata: { name: namespace } });
    const begun = performance.now();
    await inParallel(objects, writers, (i) =>
      api.expect(201, 'POST', path, {
        metadata: { name: `object-${i}`, labels: label },
        data: { text: `number ${i}` },
      }),
    );
    const seconds = (performance.now() - begun) / 1000;
    stage.say(
      `${objects} config maps made in ${seconds.toFixed(1)} s, ${(objects / seconds).toFixed(0)} a second`,
    );
    const pages = await listAll(api);
    stage.say(`listed in ${pages} pages of ${pageObjects}`);
    await watchOneUpdate(stage, api);
    await deleteAll(stage, api);
    await api.expect(200, 'DELETE', `/api/v1/namespaces/${namespace}`);
    return undefined;
  });
}

/** Every object once, in pages that belong to one revision; resolves with the number of pages. */
async function listAll(api: Api): Promise<number> {
  const names = new Set<string>();
  const revisions = new Set<string>();
  let token = '';
  let pages = 0;
  do {
    const page = `${path}?${selector}&limit=${pageObjects}${token && `&continue=${encodeURIComponent(token)}`}`;
    const { items, metadata } = await api.expect<List>(200, 'GET', page);
    assert(items.length <= pageObjects, `a page of ${items.length}`);
    for (const item of items) {
      assert(!names.has(item.metadata.name), `${item.metadata.name} is in two pages`);
      names.add(item.metadata.name);
    }
    revisions.add(metadata.resourceVersion);
    token = metadata.continue ?? '';
    pages += 1;
  } while (token !== '');
  assert.equal(names.size, objects, 'objects in the list');
  assert.equal(revisions.size, 1, 'revisions of the pages');
  return pages;
}

async function watchOneUpdate(stage: Stage, api: Api): Promise<void> {
  const { metadata } = await api.expect<List>(200, 'GET', `${path}?limit=1`);
  const seen = new Set<number>();
  const query = `watch=1&resourceVersion=${metadata.resourceVersion}`;
  const ends = await Promise.all(
    Array.from({ length: watchers }, (_, i) =>
      api.watch(`${path}?${query}`, ({ type, object }) => {
        if (type === 'MODIFIED' && object.metadata.name === 'object-7') seen.add(i);
      }),
    ),
  );
  const begun = performance.now();
  await api.expect(200, 'PUT', `${path}/object-7`, {
    metadata: { name: 'object-7', labels: label },
    data: { text: 'changed' },
  });
  await waitFor(`${watchers} watchers to see it`, 15_000, async () => seen.size === watchers, 5);
  stage.say(`${watchers} watchers saw an update within ${(performance.now() - begun).toFixed(0)} ms`);
  for (const end of ends) end();
}

async function deleteAll(stage: Stage, api: Api): Promise<void> {
  const begun = performance.now();
  await api.expect(200, 'DELETE', `${path}?${selector}`, undefined, 60_000);
  await waitFor('all to be gone', 30_000, async () => {
    const { items } = await api.expect<List>(200, 'GET', `${path}?${selector}&limit=1`);
    return items.length === 0;
  });
  stage.say(`deletecollection took ${((performance.now() - begun) / 1000).toFixed(1)} s`);
}
