/** Nobody gets more than he has: roles and bindings that would, and requests in another's name. */
import assert from 'node:assert/strict';
import { serverWorld, type ServerWorld } from '../../actors/apiserver/server-world.js';

const rbac = '/apis/rbac.authorization.k8s.io/v1';
const apiGroup = 'rbac.authorization.k8s.io';
const bob = { username: 'bob', groups: ['system:authenticated'] };

describe('grants', () => {
  let cluster: ServerWorld;
  const role = (name: string, rules: object[]) => ({ metadata: { name }, rules });
  const binding = (name: string, roleName: string) => ({
    metadata: { name },
    roleRef: { apiGroup, kind: 'ClusterRole', name: roleName },
    subjects: [{ kind: 'User', name: 'bob', apiGroup }],
  });
  const asBob = (method: string, url: string, body: unknown) =>
    cluster.call(method, url, { body, identity: bob });

  beforeEach(async () => {
    cluster = await serverWorld();
    const rules = [
      { apiGroups: [apiGroup], resources: ['*'], verbs: ['create', 'update', 'get'] },
      { apiGroups: [''], resources: ['pods', '*/status'], verbs: ['get', 'list'] },
    ];
    await cluster.create(`${rbac}/clusterroles`, role('maker', rules));
    await cluster.create(`${rbac}/clusterrolebindings`, binding('maker', 'maker'));
  });

  it('a role may hold what its writer holds, and no more', async () => {
    const pods = { apiGroups: [''], resources: ['pods', 'pods/status'], verbs: ['get'] };
    assert.equal((await asBob('POST', `${rbac}/clusterroles`, role('pods', [pods]))).status, 201);
    const all = { apiGroups: ['*'], resources: ['*'], verbs: ['*'] };
    const refused = await asBob('POST', `${rbac}/clusterroles`, role('all', [all]));
    assert.equal(refused.status, 403);
    assert.equal(
      refused.json.message,
      'clusterroles.rbac.authorization.k8s.io "all" is forbidden: user "bob" (groups=["system:authenticated"]) ' +
        'is attempting to grant RBAC permissions not currently held:\n' +
        '{APIGroups:["*"], Resources:["*"], Verbs:["*"]}',
    );
    const grown = await asBob('PUT', `${rbac}/clusterroles/pods`, role('pods', [pods, all]));
    assert.equal(grown.status, 403);
    const log = { ...pods, resources: ['pods/log'] };
    assert.equal((await asBob('POST', `${rbac}/clusterroles`, role('log', [log]))).status, 403);
    const aggregating = { metadata: { name: 'agg' }, aggregationRule: { clusterRoleSelectors: [{}] } };
    assert.equal((await asBob('POST', `${rbac}/clusterroles`, aggregating)).status, 403);
  });

  it('a role is bound by who holds its rules, or may bind it', async () => {
    const url = `${rbac}/clusterrolebindings`;
    assert.equal((await asBob('POST', url, binding('me', 'cluster-admin'))).status, 403);
    assert.equal((await asBob('POST', url, binding('again', 'maker'))).status, 201);
    assert.equal((await asBob('POST', url, binding('none', 'nothing'))).status, 404);
    const inNamespace = await asBob('POST', `${rbac}/namespaces/default/rolebindings`, binding('me', 'edit'));
    assert.equal(inNamespace.status, 403);
    const rules = [
      { apiGroups: [apiGroup], resources: ['clusterroles'], resourceNames: ['view'], verbs: ['bind'] },
    ];
    await cluster.create(`${rbac}/clusterroles`, role('binder', rules));
    await cluster.create(url, binding('binder', 'binder'));
    assert.equal((await asBob('POST', url, binding('view', 'view'))).status, 201);
    assert.equal((await asBob('POST', url, binding('edit', 'edit'))).status, 403);
  });

  it('a signing request is in the name of who sent it', async () => {
    const spec = {
      request: 'LS0t',
      signerName: 'example.com/x',
      usages: ['client auth'],
      username: 'admin',
      uid: 'u',
    };
    const url = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
    const made = await cluster.create(url, { metadata: { name: 'a' }, spec });
    assert.equal(made.spec.username, 'kubernetes-admin');
    assert.deepEqual(made.spec.groups, ['system:masters', 'system:authenticated']);
    assert.equal(made.spec.uid, undefined);
  });
});
