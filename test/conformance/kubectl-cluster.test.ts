import { strict as assert } from 'node:assert';
import { waitFor } from '../../deploy/wait.js';
import type { Kubectl } from '../harness/kubectl.js';
import type { ProcessCluster } from '../harness/process-cluster.js';
import { freshNamespace, sharedCluster } from '../harness/shared-cluster.js';

describe('kubectl on the cluster', function () {
  this.timeout(120_000);
  let cluster: ProcessCluster;
  let kubectl: Kubectl;
  before(async () => {
    cluster = await sharedCluster();
    kubectl = await freshNamespace('cluster');
  });

  it('version names both sides', async () => {
    const { serverVersion, clientVersion } = await kubectl.json<{
      serverVersion: { gitVersion: string; minor: string };
      clientVersion: { minor: string };
    }>('version');
    assert.match(serverVersion.gitVersion, /^v1\.36\./);
    assert.equal(clientVersion.minor, '35');
  });

  it('cluster-info shows where the control plane is', async () => {
    const text = await kubectl.run('cluster-info');
    assert(text.includes(cluster.url), text);
  });

  it('get nodes: five Ready, masters tainted', async () => {
    const lines = (await kubectl.run('get', 'nodes', '--no-headers')).trim().split('\n');
    assert.equal(lines.filter((line) => / Ready /.test(line)).length, 5);
    assert.equal(lines.filter((line) => / control-plane /.test(line)).length, 3);
    const taints = await kubectl.run('get', 'node', 'master-1', '-o', 'jsonpath={.spec.taints[*].key}');
    assert.equal(taints, 'node-role.kubernetes.io/control-plane');
    assert.match(await kubectl.run('describe', 'node', 'worker-1'), /Ready +True/);
  });

  it('api-resources and api-versions know what Kubernetes serves', async () => {
    const resources = await kubectl.run('api-resources', '-o', 'name');
    for (const name of [
      'pods',
      'deployments.apps',
      'leases.coordination.k8s.io',
      'ingresses.networking.k8s.io',
    ]) {
      assert(resources.split('\n').includes(name), `${name} is missing`);
    }
    assert.match(await kubectl.run('api-resources', '--namespaced=false'), /nodes +no +v1 +false +Node/);
    assert.match(await kubectl.run('api-versions'), /^apps\/v1$/m);
  });

  it('every built-in kind can be listed', async () => {
    const names = (await kubectl.run('api-resources', '--verbs=list', '-o', 'name')).trim().split('\n');
    assert(names.length > 40, `${names.length} kinds`);
    const listed = await kubectl.try(
      'get',
      names.join(','),
      '--all-namespaces',
      '--ignore-not-found',
      '-o',
      'name',
    );
    assert.equal(listed.stderr.replaceAll(/^Warning: .*\n/gm, ''), '');
    assert.equal(listed.code, 0);
  });

  it('explain reads the schema, also in depth', async () => {
    assert.match(await kubectl.run('explain', 'pod'), /KIND: +Pod\nVERSION: +v1\n/);
    const text = await kubectl.run('explain', 'deployment.spec.strategy.rollingUpdate.maxSurge');
    assert.match(text, /FIELD: maxSurge <IntOrString>/);
    assert.notEqual((await kubectl.try('explain', 'pod.spec.nothing')).code, 0);
  });

  it('auth can-i and whoami', async () => {
    assert.equal(await kubectl.run('auth', 'can-i', '*', '*'), 'yes\n');
    assert.match(
      await kubectl.run('auth', 'whoami'),
      /Username +kubernetes-admin\nGroups +\[system:masters system:authenticated\]/,
    );
    const asOther = await kubectl.try('auth', 'can-i', 'delete', 'nodes', '--as=somebody');
    assert.equal(asOther.stdout, 'no\n');
  });

  it('create role and rolebinding give a user exactly that right', async () => {
    await kubectl.run('create', 'role', 'reader', '--verb=get,list', '--resource=configmaps');
    await kubectl.run('create', 'rolebinding', 'reader', '--role=reader', '--user=jane');
    await waitFor(
      'the right to be in force',
      10_000,
      async () => (await kubectl.try('auth', 'can-i', 'list', 'configmaps', '--as=jane')).stdout === 'yes\n',
    );
    assert.equal((await kubectl.try('get', 'configmaps', '--as=jane')).code, 0);
    const refused = await kubectl.try('get', 'secrets', '--as=jane');
    assert.equal(
      refused.stderr,
      'Error from server (Forbidden): secrets is forbidden: User "jane" cannot list resource "secrets" ' +
        `in API group "" in the namespace "${kubectl.namespace}"\n`,
    );
  });

  it('create token gives a token that the apiserver takes', async () => {
    await kubectl.run('create', 'serviceaccount', 'robot');
    const token = (await kubectl.run('create', 'token', 'robot')).trim();
    assert.equal(token.split('.').length, 3);
    const path = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
    const body = JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' });
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const answer = await cluster.http({ method: 'POST', path, body, headers, credentials: null });
    const review = JSON.parse(answer.body) as { status: { userInfo: { username: string } } };
    assert.equal(review.status.userInfo.username, `system:serviceaccount:${kubectl.namespace}:robot`);
  });

  it('cordon, drain and uncordon', async () => {
    await kubectl.run('create', 'deployment', 'moved', '--image=nginx:1', '--port=8080', '--replicas=2');
    await kubectl.run('rollout', 'status', 'deployment/moved', '--timeout=60s');
    try {
      assert.equal(await cluster.kubectl.run('cordon', 'worker-2'), 'node/worker-2 cordoned\n');
      assert.match(await kubectl.run('get', 'node', 'worker-2'), /Ready,SchedulingDisabled/);
      const drained = await cluster.kubectl.run(
        'drain',
        'worker-2',
        '--ignore-daemonsets',
        '--delete-emptydir-data',
        '--force',
        '--timeout=60s',
        `--pod-selector=app=moved`,
      );
      assert.match(drained, /node\/worker-2 drained/);
      await kubectl.run('rollout', 'status', 'deployment/moved', '--timeout=60s');
      await waitFor('both pods on worker-1', 30_000, async () => {
        const on = await kubectl.run(
          'get',
          'pods',
          '-l',
          'app=moved',
          '-o',
          'jsonpath={.items[*].spec.nodeName}',
        );
        return on === 'worker-1 worker-1';
      });
    } finally {
      assert.equal(await cluster.kubectl.run('uncordon', 'worker-2'), 'node/worker-2 uncordoned\n');
    }
  });

  it('taint a node, and remove the taint', async () => {
    await cluster.kubectl.run('taint', 'node', 'worker-2', 'test=yes:PreferNoSchedule');
    const taints = await kubectl.run('get', 'node', 'worker-2', '-o', 'jsonpath={.spec.taints}');
    assert.match(taints, /"key":"test"/);
    await cluster.kubectl.run('taint', 'node', 'worker-2', 'test-');
  });

  it('a disruption budget refuses an eviction with 429', async () => {
    await kubectl.run('create', 'deployment', 'guarded', '--image=nginx:1', '--port=8080');
    await kubectl.run('rollout', 'status', 'deployment/guarded', '--timeout=60s');
    await kubectl.run(
      'create',
      'poddisruptionbudget',
      'guarded',
      '--selector=app=guarded',
      '--min-available=1',
    );
    const pod = (await kubectl.run('get', 'pods', '-l', 'app=guarded', '-o', 'name'))
      .trim()
      .slice('pod/'.length);
    const path = `/api/v1/namespaces/${kubectl.namespace}/pods/${pod}/eviction`;
    const body = JSON.stringify({ apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: pod } });
    const headers = { 'content-type': 'application/json' };
    await waitFor('the budget to be counted', 20_000, async () => {
      const healthy = await kubectl.run('get', 'pdb', 'guarded', '-o', 'jsonpath={.status.currentHealthy}');
      return healthy === '1';
    });
    const answer = await cluster.http({ method: 'POST', path, body, headers });
    assert.equal(answer.status, 429, answer.body);
    assert.match(answer.body, /DisruptionBudget/);
  });

  it('the objects that every cluster is born with are there', async () => {
    for (const name of ['default', 'kube-system', 'kube-public', 'kube-node-lease']) {
      await kubectl.run('get', 'namespace', name);
    }
    for (const what of [
      ['service', 'kubernetes', 'default'],
      ['endpoints', 'kubernetes', 'default'],
      ['configmap', 'kube-root-ca.crt', 'kube-system'],
      ['serviceaccount', 'default', 'default'],
      ['lease', 'kube-scheduler', 'kube-system'],
      ['lease', 'kube-controller-manager', 'kube-system'],
      ['lease', 'worker-1', 'kube-node-lease'],
    ] as const) {
      await cluster.kubectl.run('get', what[0], what[1], '-n', what[2]);
    }
    await cluster.kubectl.run('get', 'clusterrole', 'cluster-admin', 'admin', 'edit', 'view');
    await cluster.kubectl.run('get', 'priorityclass', 'system-node-critical', 'system-cluster-critical');
  });

  it('the leader of the scheduler is written on its Endpoints, as in the beginning', async () => {
    const yaml = await cluster.kubectl.run(
      'get',
      'endpoints',
      'kube-scheduler',
      '-n',
      'kube-system',
      '-o',
      'yaml',
    );
    assert.match(yaml, /control-plane\.alpha\.kubernetes\.io\/leader: '?\{"holderIdentity":"master-[123]_/);
  });

  it('get --raw: health, readiness and discovery', async () => {
    assert.equal(await kubectl.run('get', '--raw', '/readyz'), 'ok');
    assert.match(await kubectl.run('get', '--raw', '/livez?verbose'), /\[\+\]ping ok/);
    assert.match(await kubectl.run('get', '--raw', '/api/v1'), /"kind": ?"APIResourceList"/);
  });

  it('-v=9 prints our headers with a trace id, and kabuki trace --id prints that request', async () => {
    const { stderr } = await kubectl.try('create', 'configmap', 'traced', '-v=9');
    const ids = [...stderr.matchAll(/Kabuki-Trace-Id: ([0-9a-f]{32})/g)].map((match) => match[1] as string);
    assert(ids.length > 0, stderr);
    assert.match(stderr, /Audit-Id: /);
    assert.match(stderr, /Kabuki-Served-By: master-[123]/);
    const text = await cluster.kabukiOutput('trace', '--id', ids.at(-1) as string);
    for (const part of ['POST', 'configmaps', 'StoreTxn', '/store'])
      assert(text.includes(part), `${part} in:\n${text}`);
  });
});
