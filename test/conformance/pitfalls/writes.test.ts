/** What writing does to objects: status, generation, defaults, finalizers, graceful deletion, ownership of fields. */
import assert from 'node:assert/strict';
import { type Json, serverWorld, type ServerWorld } from '../../actors/apiserver/server-world.js';

const core = '/api/v1/namespaces/default';
const apps = '/apis/apps/v1/namespaces/default';
const batch = '/apis/batch/v1/namespaces/default';
const merge = { 'content-type': 'application/merge-patch+json' };
const apply = { 'content-type': 'application/apply-patch+yaml' };
const containers = [{ name: 'c', image: 'nginx' }];

function deployment(name: string): Json {
  const labels = { app: name };
  const template = { metadata: { labels }, spec: { containers } };
  return { metadata: { name, labels }, spec: { selector: { matchLabels: labels }, template } };
}

describe('writes', () => {
  let cluster: ServerWorld;
  const patch = (url: string, body: unknown, headers: Record<string, string> = merge) =>
    cluster.call('PATCH', url, { body, headers });
  const remove = (url: string, body?: unknown) =>
    cluster.call('DELETE', url, body === undefined ? {} : { body });

  beforeEach(async () => {
    cluster = await serverWorld({ authorizer: 'always-allow' });
  });

  it('a new object has an empty status, whatever its writer said', async () => {
    const made = await cluster.create(`${apps}/deployments`, { ...deployment('d'), status: { replicas: 9 } });
    assert.deepEqual(made.status, {});
    const service = await cluster.create(`${core}/services`, {
      metadata: { name: 's' },
      spec: { ports: [{ port: 80 }] },
    });
    assert.deepEqual(service.status, { loadBalancer: {} });
    const pod = await cluster.create(`${core}/pods`, {
      metadata: { name: 'p' },
      spec: { containers },
      status: { phase: 'Running' },
    });
    assert.deepEqual(pod.status, { phase: 'Pending', qosClass: 'BestEffort' });
  });

  it('status is ignored through the object, and spec through /status', async () => {
    await cluster.create(`${apps}/deployments`, deployment('d'));
    const through = { spec: { replicas: 4 }, status: { replicas: 3 } };
    const byStatus = (await patch(`${apps}/deployments/d/status`, through)).json;
    assert.deepEqual([byStatus.spec.replicas, byStatus.status.replicas], [1, 3]);
    const byObject = (await patch(`${apps}/deployments/d`, { ...through, status: { replicas: 7 } })).json;
    assert.deepEqual([byObject.spec.replicas, byObject.status.replicas], [4, 3]);
  });

  it('annotations go through /status, labels too but for deployments', async () => {
    const metadata = { annotations: { a: 'b' }, labels: { l: 'm' } };
    await cluster.create(`${apps}/deployments`, deployment('d'));
    const shown = (await patch(`${apps}/deployments/d/status`, { metadata })).json.metadata;
    assert.deepEqual([shown.annotations, shown.labels], [{ a: 'b' }, { app: 'd' }]);
    const job = {
      metadata: { name: 'j' },
      spec: { template: { spec: { restartPolicy: 'Never', containers } } },
    };
    await cluster.create(`${batch}/jobs`, job);
    const patched = (await patch(`${batch}/jobs/j/status`, { metadata })).json.metadata;
    assert.deepEqual([patched.annotations, patched.labels.l], [{ a: 'b' }, 'm']);
  });

  it('generation is 1, grows with the spec and once when deletion begins, and with nothing else', async () => {
    const url = `${apps}/deployments/d`;
    const made = await cluster.create(`${apps}/deployments`, deployment('d'));
    const generation = async (body: unknown, path = url) =>
      (await patch(path, body)).json.metadata.generation;
    assert.equal(made.metadata.generation, 1);
    assert.equal(await generation({ metadata: { labels: { x: 'y' } } }), 1);
    assert.equal(await generation({ status: { replicas: 1 } }, `${url}/status`), 1);
    assert.equal(await generation({ spec: { replicas: 2 } }), 2);
    assert.equal(await generation({ spec: { replicas: 2 } }), 2);
    const doomed = await remove(url, { propagationPolicy: 'Foreground' });
    assert.equal(doomed.json.metadata.generation, 3);
    assert.equal((await remove(url, { propagationPolicy: 'Foreground' })).json.metadata.generation, 3);
  });

  it('the last finalizer taken off deletes, and the answer is what its writer made of the object', async () => {
    const finalizers = ['example.com/hold'];
    await cluster.create(`${core}/configmaps`, { metadata: { name: 'a', finalizers } });
    const doomed = await remove(`${core}/configmaps/a`);
    assert.equal(doomed.status, 200);
    assert.equal(doomed.json.metadata.deletionGracePeriodSeconds, 0);
    const alive = await patch(`${core}/configmaps/a`, { metadata: { deletionTimestamp: null } });
    assert.equal(alive.json.metadata.deletionTimestamp, doomed.json.metadata.deletionTimestamp);
    const more = await patch(`${core}/configmaps/a`, { metadata: { finalizers: [...finalizers, 'b/c'] } });
    assert.equal(more.status, 422);
    assert.match(more.json.message, /no new finalizers can be added if the object is being deleted/);
    const last = await patch(`${core}/configmaps/a`, { metadata: { finalizers: null } });
    assert.equal(last.status, 200);
    assert.equal(last.json.metadata.finalizers, undefined);
    assert.equal((await cluster.call('GET', `${core}/configmaps/a`)).status, 404);
  });

  it('a finalizer is one of the three standard ones or has a domain', async () => {
    const body = { metadata: { name: 'a', finalizers: ['hold'] } };
    const answer = await cluster.call('POST', `${core}/configmaps`, { body });
    assert.equal(answer.status, 422);
    assert.match(answer.json.message, /name is neither a standard finalizer name nor is it fully qualified$/);
  });

  it('a pod on a node ends within its grace, which only shrinks', async () => {
    const url = `${core}/pods/p`;
    await cluster.create(`${core}/pods`, { metadata: { name: 'p' }, spec: { containers, nodeName: 'n' } });
    const grace = async (body?: unknown) =>
      (await remove(url, body)).json.metadata.deletionGracePeriodSeconds;
    assert.equal(await grace(), 30);
    assert.equal(await grace({ gracePeriodSeconds: 60 }), 30);
    assert.equal(await grace({ gracePeriodSeconds: 5 }), 5);
    assert.equal(await grace({ gracePeriodSeconds: -3 }), 1);
    assert.equal((await remove(url, { gracePeriodSeconds: 0 })).json.kind, 'Pod');
    assert.equal((await cluster.call('GET', url)).status, 404);
  });

  it('DELETE answers with a Status, with the object for the kinds that do, or for one that waits', async () => {
    await cluster.create(`${core}/configmaps`, { metadata: { name: 'a' } });
    const status = (await remove(`${core}/configmaps/a`)).json;
    assert.deepEqual([status.kind, status.status, status.details.kind], ['Status', 'Success', 'configmaps']);
    assert.match(status.details.uid, /^[0-9a-f-]{36}$/);
    await cluster.create(`${core}/serviceaccounts`, { metadata: { name: 'a' } });
    assert.equal((await remove(`${core}/serviceaccounts/a`)).json.kind, 'ServiceAccount');
  });

  it('options of a DELETE come in the body, or in the query of one without', async () => {
    await cluster.create(`${apps}/deployments`, deployment('d'));
    const orphaned = await cluster.call('DELETE', `${apps}/deployments/d?propagationPolicy=Orphan`);
    assert.deepEqual(orphaned.json.metadata.finalizers, ['orphan']);
    await cluster.create(`${apps}/deployments`, deployment('e'));
    const body = { propagationPolicy: 'Background' };
    const gone = await cluster.call('DELETE', `${apps}/deployments/e?propagationPolicy=Orphan`, { body });
    assert.equal(gone.json.kind, 'Status');
  });

  it('a job deleted without saying so leaves its pods, and its deleter is warned', async () => {
    const job = {
      metadata: { name: 'j' },
      spec: { template: { spec: { restartPolicy: 'Never', containers } } },
    };
    await cluster.create(`${batch}/jobs`, job);
    const doomed = await remove(`${batch}/jobs/j`);
    assert.deepEqual(doomed.json.metadata.finalizers, ['orphan']);
    assert.match(
      doomed.headers['warning'] ?? '',
      /^299 - "child pods are preserved by default when jobs are deleted;/,
    );
  });

  it('a write that changes nothing keeps the resourceVersion', async () => {
    const made = await cluster.create(`${apps}/deployments`, deployment('d'));
    const same = await cluster.call('PUT', `${apps}/deployments/d`, { body: made });
    assert.equal(same.json.metadata.resourceVersion, made.metadata.resourceVersion);
    const body = { apiVersion: 'v1', kind: 'ConfigMap', data: { a: '1' } };
    const url = `${core}/configmaps/a?fieldManager=m`;
    const first = (await patch(url, body, apply)).json.metadata;
    const second = (await patch(url, body, apply)).json.metadata;
    assert.equal(second.resourceVersion, first.resourceVersion);
  });

  it('quantities, times and nulls come back in their one form', async () => {
    const limits = { cpu: '1000m', memory: '0.5' };
    const pod = await cluster.create(`${core}/pods`, {
      metadata: { name: 'p', creationTimestamp: null },
      spec: { containers: [{ name: 'c', image: 'x', resources: { requests: limits } }], hostname: null },
    });
    assert.deepEqual(pod.spec.containers[0].resources, { requests: { cpu: '1', memory: '500m' } });
    assert.equal('hostname' in pod.spec, false);
    const lease = await cluster.create('/apis/coordination.k8s.io/v1/namespaces/default/leases', {
      metadata: { name: 'l' },
      spec: { acquireTime: '2026-01-01T01:00:00.1234567+01:00', renewTime: '2026-01-01T00:00:00Z' },
    });
    assert.deepEqual(lease.spec, {
      acquireTime: '2026-01-01T00:00:00.123456Z',
      renewTime: '2026-01-01T00:00:00.000000Z',
    });
  });

  it('PUT creates only the kinds that allow it', async () => {
    const put = async (url: string, body: unknown) => (await cluster.call('PUT', url, { body })).status;
    const metadata = { name: 'a' };
    assert.equal(await put('/apis/coordination.k8s.io/v1/namespaces/default/leases/a', { metadata }), 201);
    assert.equal(await put(`${core}/endpoints/a`, { metadata }), 201);
    assert.equal(await put('/apis/rbac.authorization.k8s.io/v1/clusterroles/a', { metadata }), 201);
    assert.equal(await put(`${core}/configmaps/a`, { metadata }), 404);
    assert.equal(await put(`${core}/pods/a`, { metadata, spec: { containers } }), 404);
    assert.equal(await put('/apis/coordination.k8s.io/v1/namespaces/default/leases/a', { metadata }), 422);
  });

  it('a service that changes its type drops what the old type had', async () => {
    const url = `${core}/services/s`;
    const spec = { type: 'NodePort', ports: [{ port: 80 }] };
    const made = await cluster.create(`${core}/services`, { metadata: { name: 's' }, spec });
    assert.equal(made.spec.externalTrafficPolicy, 'Cluster');
    const internal = (await patch(url, { spec: { type: 'ClusterIP' } })).json.spec;
    assert.deepEqual([internal.externalTrafficPolicy, internal.ports[0].nodePort], [undefined, undefined]);
    assert.equal(internal.clusterIP, made.spec.clusterIP);
    const named = (await patch(url, { spec: { type: 'ExternalName', externalName: 'a.b' } })).json.spec;
    assert.deepEqual(
      [named.clusterIP, named.clusterIPs, named.ipFamilies],
      [undefined, undefined, undefined],
    );
    const taken = { clusterIP: made.spec.clusterIP, ports: [{ port: 1 }] };
    await cluster.create(`${core}/services`, { metadata: { name: 't' }, spec: taken });
  });

  it('an apply may ask for a version and for a uid', async () => {
    const url = `${core}/configmaps/a?fieldManager=m`;
    const document = (metadata: object) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata });
    const absent = await patch(url, document({ name: 'a', uid: 'u' }), apply);
    assert.equal(absent.status, 409);
    assert.match(
      absent.json.message,
      /uid mismatch: the provided object specified uid u, and no existing object/,
    );
    await cluster.create(`${core}/configmaps`, { metadata: { name: 'a' } });
    assert.equal(
      (await patch(url, document({ name: 'a', resourceVersion: '1' }), apply)).json.reason,
      'Conflict',
    );
    assert.equal((await patch(url, document({ name: 'a', uid: 'u' }), apply)).json.reason, 'Conflict');
    assert.equal((await patch(url, document({ name: 'a' }), apply)).status, 200);
  });

  it('a field of another applier is a conflict, given up by force, and gone with its last owner', async () => {
    const say = (manager: string, data: object, more = '') =>
      patch(
        `${core}/configmaps/a?fieldManager=${manager}${more}`,
        { apiVersion: 'v1', kind: 'ConfigMap', data },
        apply,
      );
    await say('one', { a: '1', b: '2' });
    const refused = await say('two', { a: '9' });
    assert.equal(refused.json.message, 'Apply failed with 1 conflict: conflict with "one": .data.a');
    assert.deepEqual(refused.json.details.causes, [
      { reason: 'FieldManagerConflict', message: 'conflict with "one"', field: '.data.a' },
    ]);
    assert.deepEqual((await say('two', { a: '9' }, '&force=true')).json.data, { a: '9', b: '2' });
    assert.deepEqual((await say('two', {})).json.data, { b: '2' });
    const stripped = await patch(`${core}/configmaps/a`, { metadata: { managedFields: [{}] } });
    assert.equal(stripped.json.metadata.managedFields, undefined);
  });

  it('events agree with their object on the namespace; new ones say when, who and what', async () => {
    const old = { metadata: { name: 'e' }, involvedObject: { kind: 'Pod', name: 'p', namespace: 'other' } };
    const strange = await cluster.call('POST', `${core}/events`, { body: old });
    assert.match(
      strange.json.message,
      /involvedObject.namespace: Invalid value: "other": does not match event.namespace$/,
    );
    const bare = { metadata: { name: 'e' }, regarding: { kind: 'Pod', name: 'p', namespace: 'default' } };
    const answer = await cluster.call('POST', '/apis/events.k8s.io/v1/namespaces/default/events', {
      body: bare,
    });
    const fields = answer.json.details.causes.map(({ field }: { field: string }) => field);
    assert.deepEqual(fields, [
      'eventTime',
      'reportingController',
      'reportingInstance',
      'action',
      'reason',
      'type',
    ]);
  });

  it('an ingress without rules and default backend is refused', async () => {
    const body = { metadata: { name: 'i' }, spec: {} };
    const answer = await cluster.call('POST', '/apis/networking.k8s.io/v1/namespaces/default/ingresses', {
      body,
    });
    assert.match(
      answer.json.message,
      /spec: Invalid value: \{\}: either `defaultBackend` or `rules` must be specified$/,
    );
  });
});
