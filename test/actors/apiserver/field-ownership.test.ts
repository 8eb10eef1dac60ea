import assert from 'node:assert/strict';
import { afterEach } from 'mocha';
import { type Json, serverWorld, type ServerWorld } from './server-world.js';

const deployments = '/apis/apps/v1/namespaces/default/deployments';

describe('field ownership', () => {
  let cluster: ServerWorld;
  beforeEach(async () => {
    cluster = await serverWorld({ authorizer: 'always-allow' });
  });
  afterEach(() => cluster.world.end());

  const web = (replicas?: number, image = 'i') => ({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', namespace: 'default' },
    spec: {
      ...(replicas !== undefined && { replicas }),
      selector: { matchLabels: { app: 'web' } },
      template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image }] } },
    },
  });
  const apply = (manager: string, body: object, query = '') =>
    cluster.call('PATCH', `${deployments}/web?fieldManager=${manager}${query}`, {
      body,
      headers: { 'content-type': 'application/apply-patch+yaml' },
    });
  const managers = (object: Json) =>
    object.metadata.managedFields.map((each: Json) =>
      `${each.manager} ${each.operation} ${each.subresource ?? ''}`.trim(),
    );

  it('apply creates what is not there, and applying the same again changes nothing', async () => {
    const created = await apply('one', web(2));
    assert.equal(created.status, 201, created.text);
    assert.deepEqual(managers(created.json), ['one Apply']);
    assert.equal(created.json.spec.progressDeadlineSeconds, 600);
    const again = await apply('one', web(2));
    assert.equal(again.status, 200);
    assert.equal(again.json.metadata.resourceVersion, created.json.metadata.resourceVersion);
  });

  it('a field of another manager is a conflict, unless forced', async () => {
    await apply('one', web(2));
    const conflict = await apply('two', web(3));
    assert.equal(conflict.status, 409);
    assert.equal(conflict.json.details.causes[0].reason, 'FieldManagerConflict');
    assert.equal(conflict.json.details.causes[0].field, '.spec.replicas');
    assert.equal(conflict.json.details.name, 'web');
    const forced = await apply('two', web(3), '&force=true');
    assert.equal(forced.status, 200);
    assert.equal(forced.json.spec.replicas, 3);
    assert.equal(forced.json.metadata.generation, 2);
  });

  it('what a manager no longer applies goes away, if nobody else owns it', async () => {
    await apply('one', { ...web(2), metadata: { name: 'web', labels: { a: '1', b: '2' } } });
    const less = await apply('one', { ...web(2), metadata: { name: 'web', labels: { a: '1' } } });
    assert.deepEqual(less.json.metadata.labels, { a: '1' });
  });

  it('creates, updates, status and scale are credited to their managers', async () => {
    await cluster.call('POST', `${deployments}?fieldManager=maker`, { body: web(1) });
    await cluster.call('PATCH', `${deployments}/web/status?fieldManager=controller`, {
      body: { status: { replicas: 1 } },
      headers: { 'content-type': 'application/merge-patch+json' },
    });
    const scaled = await cluster.call('PATCH', `${deployments}/web/scale?fieldManager=scaler`, {
      body: { spec: { replicas: 4 } },
      headers: { 'content-type': 'application/merge-patch+json' },
    });
    assert.equal(scaled.status, 200);
    const { json } = await cluster.call('GET', `${deployments}/web`);
    assert.deepEqual(managers(json).sort(), [
      'controller Update status',
      'maker Update',
      'scaler Update scale',
    ]);
  });

  it('apply without a field manager is 422', async () => {
    const answer = await cluster.call('PATCH', `${deployments}/web`, {
      body: web(1),
      headers: { 'content-type': 'application/apply-patch+yaml' },
    });
    assert.equal(answer.status, 422);
    assert.match(answer.json.message, /fieldManager: Required value/);
  });
});
