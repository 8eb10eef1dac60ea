import assert from 'node:assert/strict';
import { afterEach } from 'mocha';
import type { Identity } from '../../../actors/apiserver/request.js';
import { type Json, serverWorld, type ServerWorld } from './server-world.js';

const rbac = '/apis/rbac.authorization.k8s.io/v1';
const reviews = '/apis/authorization.k8s.io/v1';
const jane: Identity = { username: 'jane', groups: ['developers', 'system:authenticated'] };

describe('authorisation', () => {
  let cluster: ServerWorld;
  beforeEach(async () => {
    cluster = await serverWorld();
  });
  afterEach(() => cluster.world.end());

  const as = (identity: Identity, url: string, method = 'GET', body?: object) =>
    cluster.call(method, url, { identity, ...(body && { body }) });
  const bind = (namespace: string, role: string, subject: object) =>
    cluster.create(`${rbac}/namespaces/${namespace}/rolebindings`, {
      metadata: { generateName: 'b-' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
      subjects: [subject],
    });
  const group = { kind: 'Group', name: 'developers', apiGroup: 'rbac.authorization.k8s.io' };

  it('refuses in the words that clients know', async () => {
    const list = await as(jane, '/api/v1/namespaces/default/pods');
    assert.equal(list.status, 403);
    assert.equal(
      list.json.message,
      'pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "default"',
    );
    assert.deepEqual(list.json.details, { kind: 'pods' });
    const get = await as(jane, '/apis/apps/v1/namespaces/default/deployments/web/scale');
    assert.equal(
      get.json.message,
      'deployments.apps "web" is forbidden: User "jane" cannot get resource "deployments/scale" in API group "apps" ' +
        'in the namespace "default"',
    );
    const nodes = await as(jane, '/api/v1/nodes');
    assert.match(nodes.json.message, /at the cluster scope$/);
    const path = await as(jane, '/metrics');
    assert.equal(path.json.message, 'forbidden: User "jane" cannot get path "/metrics"');
  });

  it('grants what a role binding grants, there and nowhere else, as soon as it is written', async () => {
    await bind('default', 'view', group);
    assert.equal((await as(jane, '/api/v1/namespaces/default/pods')).status, 200);
    assert.equal((await as(jane, '/api/v1/namespaces/default/secrets')).status, 403);
    assert.equal((await as(jane, '/api/v1/namespaces/kube-system/pods')).status, 403);
    assert.equal((await as(jane, '/api/v1/pods')).status, 403);
    const create = await as(jane, '/api/v1/namespaces/default/configmaps', 'POST', {
      metadata: { name: 'a' },
    });
    assert.equal(create.status, 403);
  });

  it('resourceNames narrow a rule to those objects', async () => {
    await cluster.create(`${rbac}/namespaces/default/roles`, {
      metadata: { name: 'one-map' },
      rules: [{ verbs: ['get'], apiGroups: [''], resources: ['configmaps'], resourceNames: ['mine'] }],
    });
    await cluster.create(`${rbac}/namespaces/default/rolebindings`, {
      metadata: { name: 'one-map' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'one-map' },
      subjects: [group],
    });
    assert.equal((await as(jane, '/api/v1/namespaces/default/configmaps/mine')).status, 404);
    assert.equal((await as(jane, '/api/v1/namespaces/default/configmaps/other')).status, 403);
  });

  it('aggregated roles have the rules of those that they select', async () => {
    await cluster.create(`${rbac}/clusterroles`, {
      metadata: { name: 'part', labels: { 'add-to-sum': 'true' } },
      rules: [{ verbs: ['get'], apiGroups: [''], resources: ['secrets'] }],
    });
    await cluster.create(`${rbac}/clusterroles`, {
      metadata: { name: 'sum' },
      aggregationRule: { clusterRoleSelectors: [{ matchLabels: { 'add-to-sum': 'true' } }] },
      rules: [],
    });
    await bind('default', 'sum', group);
    assert.equal((await as(jane, '/api/v1/namespaces/default/secrets/x')).status, 404);
  });

  it('everybody may discover and review himself', async () => {
    assert.equal((await as(jane, '/apis')).status, 200);
    assert.equal((await as(jane, '/openapi/v3')).status, 200);
    const who = await as(jane, '/apis/authentication.k8s.io/v1/selfsubjectreviews', 'POST', {});
    assert.equal(who.status, 201);
    assert.deepEqual(who.json.status.userInfo, { username: 'jane', groups: jane.groups });
  });

  it('access reviews answer for oneself, for others and in a namespace', async () => {
    await bind('default', 'edit', group);
    const attributes = { verb: 'create', resource: 'pods', namespace: 'default' };
    const self = await as(jane, `${reviews}/selfsubjectaccessreviews`, 'POST', {
      spec: { resourceAttributes: attributes },
    });
    assert.equal(self.json.status.allowed, true);
    assert.match(self.json.status.reason, /RBAC: allowed by RoleBinding/);
    const other = await cluster.call('POST', `${reviews}/subjectaccessreviews`, {
      body: { spec: { user: 'bob', resourceAttributes: attributes } },
    });
    assert.equal(other.json.status.allowed, false);
    const local = await cluster.call('POST', `${reviews}/namespaces/default/localsubjectaccessreviews`, {
      body: { spec: { user: 'x', groups: ['developers'], resourceAttributes: attributes } },
    });
    assert.equal(local.json.status.allowed, true);
    const wrong = await cluster.call('POST', `${reviews}/namespaces/kube-system/localsubjectaccessreviews`, {
      body: { spec: { user: 'x', resourceAttributes: attributes } },
    });
    assert.equal(wrong.status, 400);
    const both = await as(jane, `${reviews}/selfsubjectaccessreviews`, 'POST', { spec: {} });
    assert.equal(both.status, 422);
  });

  it('a rules review lists what one may do in a namespace', async () => {
    await bind('default', 'view', group);
    const { json } = await as(jane, `${reviews}/selfsubjectrulesreviews`, 'POST', {
      spec: { namespace: 'default' },
    });
    assert.ok(json.status.resourceRules.some((rule: Json) => rule.resources.includes('pods')));
    assert.ok(json.status.nonResourceRules.some((rule: Json) => rule.nonResourceURLs.includes('/api')));
  });

  it('the components of the control plane may do their work, and not each other’s', async () => {
    const scheduler: Identity = { username: 'system:kube-scheduler', groups: ['system:authenticated'] };
    const node: Identity = { username: 'system:node:n1', groups: ['system:nodes', 'system:authenticated'] };
    const proxy: Identity = { username: 'system:kube-proxy', groups: ['system:authenticated'] };
    const may = async (
      identity: Identity,
      verb: string,
      resource: string,
      subresource = '',
      apiGroup = '',
    ) => {
      const { json } = await as(identity, `${reviews}/selfsubjectaccessreviews`, 'POST', {
        spec: { resourceAttributes: { verb, resource, subresource, group: apiGroup, namespace: 'x' } },
      });
      return json.status.allowed as boolean;
    };
    assert.equal(await may(scheduler, 'create', 'pods', 'binding'), true);
    assert.equal(await may(scheduler, 'create', 'deployments', '', 'apps'), false);
    assert.equal(await may(node, 'patch', 'pods', 'status'), true);
    assert.equal(await may(node, 'create', 'pods', 'binding'), false);
    assert.equal(await may(proxy, 'watch', 'endpointslices', '', 'discovery.k8s.io'), true);
    assert.equal(await may(proxy, 'create', 'pods'), false);
  });
});
