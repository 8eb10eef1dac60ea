import { strict as assert } from 'node:assert';
import { waitFor } from '../../deploy/wait.js';
import type { Kubectl } from '../harness/kubectl.js';
import { freshNamespace, sharedCluster } from '../harness/shared-cluster.js';

interface Deployment {
  readonly spec: {
    readonly replicas: number;
    readonly template: { readonly spec: { readonly containers: readonly { readonly image: string }[] } };
  };
  readonly status?: { readonly readyReplicas?: number };
}

describe('kubectl on workloads', function () {
  this.timeout(120_000);
  let kubectl: Kubectl;
  const rolledOut = (name: string) => kubectl.run('rollout', 'status', `deployment/${name}`, '--timeout=60s');
  const deployment = (name: string) => kubectl.json<Deployment>('get', 'deployment', name);
  const image = async (name: string) => (await deployment(name)).spec.template.spec.containers[0]?.image;
  const create = async (name: string, ...more: string[]) => {
    await kubectl.run('create', 'deployment', name, '--image=nginx:1', '--port=8080', ...more);
    await rolledOut(name);
  };
  before(async () => {
    await sharedCluster();
    kubectl = await freshNamespace('workloads');
  });

  it('create deployment, and rollout status waits for it', async () => {
    const said = await kubectl.run(
      'create',
      'deployment',
      'web',
      '--image=nginx:1',
      '--port=8080',
      '--replicas=2',
    );
    assert.equal(said, 'deployment.apps/web created\n');
    assert.match(await rolledOut('web'), /deployment "web" successfully rolled out/);
    assert.equal((await deployment('web')).status?.readyReplicas, 2);
    assert.match(
      await kubectl.run('get', 'deploy'),
      /NAME +READY +UP-TO-DATE +AVAILABLE +AGE\nweb +2\/2 +2 +2 +\d+s/,
    );
    assert.match(await kubectl.run('get', 'pods', '-l', 'app=web'), /1\/1 +Running +0 +\d+s/);
    assert.match(
      await kubectl.run('get', 'rs'),
      /NAME +DESIRED +CURRENT +READY +AGE\nweb-\w+ +2 +2 +2 +\d+s/,
    );
  });

  it('get all lists what there is', async () => {
    const all = await kubectl.run('get', 'all', '-o', 'name');
    for (const kind of ['pod/web-', 'deployment.apps/web', 'replicaset.apps/web-'])
      assert(all.includes(kind), all);
  });

  it('describe deployment and pod', async () => {
    const text = await kubectl.run('describe', 'deployment', 'web');
    assert.match(text, /Replicas: +2 desired \| 2 updated \| 2 total \| 2 available \| 0 unavailable/);
    assert.match(text, /NewReplicaSet: +web-\w+ \(2\/2 replicas created\)/);
    assert.match(text, /ScalingReplicaSet/);
    const pod = await kubectl.run('describe', 'pods', '-l', 'app=web');
    assert.match(pod, /Status: +Running/);
    assert.match(pod, /Controlled By: +ReplicaSet\/web-/);
    assert.match(pod, /Scheduled.*Successfully assigned/);
  });

  it('scale, and scale with a precondition', async () => {
    assert.equal(
      await kubectl.run('scale', 'deployment/web', '--replicas=3'),
      'deployment.apps/web scaled\n',
    );
    await rolledOut('web');
    assert.equal((await deployment('web')).status?.readyReplicas, 3);
    const wrong = await kubectl.try('scale', 'deployment/web', '--replicas=1', '--current-replicas=9');
    assert.equal(wrong.code, 1);
    await kubectl.run('scale', 'deployment/web', '--replicas=1', '--current-replicas=3');
    assert.equal((await deployment('web')).spec.replicas, 1);
    assert.match(
      await kubectl.run('get', 'deployment', 'web', '--subresource=scale'),
      /NAME +DESIRED +AVAILABLE +AGE\nweb +1 +/,
    );
  });

  it('set image, rollout history and undo', async () => {
    await create('rolling');
    assert.equal(
      await kubectl.run('set', 'image', 'deployment/rolling', 'nginx=nginx:2'),
      'deployment.apps/rolling image updated\n',
    );
    await rolledOut('rolling');
    const history = await kubectl.run('rollout', 'history', 'deployment/rolling');
    assert.match(history, /^deployment\.apps\/rolling \nREVISION +CHANGE-CAUSE\n1 +<none>\n2 +<none>\n/);
    assert.match(await kubectl.run('rollout', 'history', 'deployment/rolling', '--revision=1'), /nginx:1/);
    assert.equal(
      await kubectl.run('rollout', 'undo', 'deployment/rolling'),
      'deployment.apps/rolling rolled back\n',
    );
    await rolledOut('rolling');
    assert.equal(await image('rolling'), 'nginx:1');
    assert.match(await kubectl.run('rollout', 'history', 'deployment/rolling'), /\n2 .*\n3 /);
    await kubectl.run('rollout', 'undo', 'deployment/rolling', '--to-revision=2');
    await rolledOut('rolling');
    assert.equal(await image('rolling'), 'nginx:2');
  });

  it('rollout restart replaces the pods; pause and resume hold it', async () => {
    await create('restarted');
    const podNames = () => kubectl.run('get', 'pods', '-l', 'app=restarted', '-o', 'name');
    const before = await podNames();
    await kubectl.run('rollout', 'pause', 'deployment/restarted');
    await kubectl.run('set', 'env', 'deployment/restarted', 'A=B');
    assert.equal(await podNames(), before);
    await kubectl.run('rollout', 'resume', 'deployment/restarted');
    await rolledOut('restarted');
    await kubectl.run('rollout', 'restart', 'deployment/restarted');
    await rolledOut('restarted');
    await waitFor('other pods', 30_000, async () => {
      const now = (await podNames()).trim();
      return now !== '' && !now.includes('\n') && !before.includes(now);
    });
  });

  it('an update that cannot start does not take down what runs', async () => {
    await create('stuck', '--replicas=2');
    await kubectl.run('set', 'image', 'deployment/stuck', 'nginx=registry.example.com/unknown:1');
    const waiting = await kubectl.try('rollout', 'status', 'deployment/stuck', '--timeout=3s');
    assert.equal(waiting.code, 1);
    await waitFor('the reason to be shown', 20_000, async () =>
      /ErrImagePull|ImagePullBackOff/.test(await kubectl.run('get', 'pods', '-l', 'app=stuck')),
    );
    assert.equal((await deployment('stuck')).status?.readyReplicas, 2);
    await kubectl.run('rollout', 'undo', 'deployment/stuck');
    await rolledOut('stuck');
  });

  it('expose gives an address that reaches the pods, with endpoints and slices', async () => {
    await create('exposed', '--replicas=2');
    assert.equal(
      await kubectl.run('expose', 'deployment', 'exposed', '--port=8090', '--target-port=8080'),
      'service/exposed exposed\n',
    );
    await waitFor('two endpoints', 20_000, async () => {
      const addresses = await kubectl.run(
        'get',
        'endpoints',
        'exposed',
        '-o',
        'jsonpath={.subsets[*].addresses[*].ip}',
      );
      return addresses.split(' ').length === 2;
    });
    const slices = await kubectl.run(
      'get',
      'endpointslices',
      '-l',
      'kubernetes.io/service-name=exposed',
      '-o',
      'name',
    );
    assert.match(slices, /^endpointslice\.discovery\.k8s\.io\/exposed-/);
    const address = await kubectl.run('get', 'service', 'exposed', '-o', 'jsonpath={.spec.clusterIP}');
    await waitFor('an answer at the virtual address', 20_000, async () => {
      const answer = await fetch(`http://${address}:8090/`, { signal: AbortSignal.timeout(2_000) });
      return answer.status === 200;
    });
    assert.match(
      await kubectl.run('describe', 'service', 'exposed'),
      /Endpoints: +127\.[\d.]+:8080,127\.[\d.]+:8080/,
    );
  });

  it('autoscale makes a HorizontalPodAutoscaler', async () => {
    await create('scaled');
    await kubectl.run('autoscale', 'deployment', 'scaled', '--min=1', '--max=3', '--cpu=80%');
    assert.match(await kubectl.run('get', 'hpa', 'scaled'), /scaled +Deployment\/scaled +.* 1 +3 /);
  });

  it('delete --cascade=background takes the pods along', async () => {
    await create('background');
    await kubectl.run('delete', 'deployment', 'background');
    await waitFor(
      'its pods and replica sets to go',
      30_000,
      async () => (await kubectl.run('get', 'rs,pods', '-l', 'app=background', '-o', 'name')) === '',
    );
  });

  it('delete --cascade=foreground waits until the pods are gone', async () => {
    await create('foreground');
    await kubectl.run('delete', 'deployment', 'foreground', '--cascade=foreground', '--timeout=60s');
    assert.equal(await kubectl.run('get', 'rs,pods', '-l', 'app=foreground', '-o', 'name'), '');
  });

  it('delete --cascade=orphan leaves the replica set and its pods', async () => {
    await create('orphaned');
    const before = await kubectl.run('get', 'rs,pods', '-l', 'app=orphaned', '-o', 'name');
    await kubectl.run('delete', 'deployment', 'orphaned', '--cascade=orphan', '--timeout=30s');
    assert.equal((await kubectl.try('get', 'deployment', 'orphaned')).code, 1);
    assert.equal(await kubectl.run('get', 'rs,pods', '-l', 'app=orphaned', '-o', 'name'), before);
    const owners = await kubectl.run('get', 'rs', '-l', 'app=orphaned', '-o', 'jsonpath={..ownerReferences}');
    assert.equal(owners, '');
    await kubectl.run('delete', 'rs', '-l', 'app=orphaned');
  });
});
