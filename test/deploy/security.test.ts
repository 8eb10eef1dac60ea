import { strict as assert } from 'node:assert';
import { lstatSync, readdirSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join, relative } from 'node:path';
import { curveKeyPair } from 'zeromq';
import type { ApiServerMessage } from '../../actors/apiserver/messages.js';
import { ApiError, createApiClient, nodes, pods } from '../../actors/client/index.js';
import { actorRef, type RunningActorSystem, realClock, realRandom } from '../../actors/runtime/index.js';
import { createAuthority, loadAuthority } from '../../deploy/certificates.js';
import { machineNamed, mainNode } from '../../deploy/cluster-spec.js';
import { createNodeSystem } from '../../deploy/node-system.js';
import { waitFor } from '../../deploy/wait.js';
import { FaultPolicy, type Incarnation, MemoryJournal, ZmqLink } from '../../transport/index.js';
import { ProcessCluster } from '../harness/process-cluster.js';

describe('security of a running cluster', function () {
  this.timeout(120_000);
  let cluster: ProcessCluster;
  before(async () => {
    cluster = await ProcessCluster.up({ masters: 1, workers: 1 });
  });
  after(() => cluster?.stop());

  it('files are readable by their owner only', () => {
    const open: string[] = [];
    const walk = (folder: string) => {
      for (const name of readdirSync(folder)) {
        const path = join(folder, name);
        const { mode } = lstatSync(path);
        // A link's own mode means nothing; what containers make in their own folder is behind a closed one.
        if (lstatSync(path).isSymbolicLink() || name === 'containers') continue;
        if ((mode & 0o077) !== 0)
          open.push(`${relative(cluster.dir.path, path)} ${(mode & 0o777).toString(8)}`);
        if (lstatSync(path).isDirectory()) walk(path);
      }
    };
    walk(cluster.dir.path);
    walk(cluster.dir.runDir());
    assert.deepEqual(open, []);
    for (const folder of [cluster.dir.path, cluster.dir.runDir()]) {
      assert.equal(lstatSync(folder).mode & 0o777, 0o700);
    }
    assert(readdirSync(cluster.dir.runDir()).includes('launcher.sock'));
  });

  const status = (body: string) =>
    JSON.parse(body) as { kind: string; reason: string; message: string; code: number };

  it('a request without credentials gets 401, except for health', async () => {
    const answer = await cluster.http({ path: '/api/v1/pods', credentials: null });
    assert.equal(answer.status, 401);
    assert.equal(status(answer.body).reason, 'Unauthorized');
    assert.equal((await cluster.http({ path: '/readyz', credentials: null })).status, 200);
  });

  it('a wrong token gets 401', async () => {
    for (const authorization of ['Bearer nonsense', 'Bearer a.b.c', 'Basic YTpi', 'Bearer ']) {
      const answer = await cluster.http({
        path: '/api/v1/pods',
        credentials: null,
        headers: { authorization },
      });
      assert.equal(answer.status, 401, authorization);
    }
  });

  it('a certificate of another authority gets 401, also when its names are the same', async () => {
    const { cert } = { cert: cluster.dir.readText('pki/ca.crt') };
    for (const name of ['stranger', 'kabuki-ca']) {
      const other = await createAuthority(name);
      assert.notEqual(other.cert, cert);
      const credentials = await other.issueClient('kubernetes-admin', ['system:masters']);
      const answer = await cluster.http({ path: '/api/v1/pods', credentials }).then(
        ({ status: code }) => code,
        () => 'refused in the handshake',
      );
      assert(answer === 401 || answer === 'refused in the handshake', String(answer));
    }
  });

  it('a known user without the right gets 403, and is told what is missing', async () => {
    const authority = await loadAuthority({
      cert: cluster.dir.readText('pki/ca.crt'),
      key: cluster.dir.readText('pki/ca.key'),
    });
    const jane = await authority.issueClient('jane', ['people']);
    const answer = await cluster.http({ path: '/api/v1/namespaces/default/pods', credentials: jane });
    assert.equal(answer.status, 403);
    assert.equal(
      status(answer.body).message,
      'pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "default"',
    );
    const secret = await cluster.http({ path: '/api/v1/namespaces/kube-system/secrets', credentials: jane });
    assert.equal(secret.status, 403);
  });

  it('a certificate for serving is none for asking', async () => {
    const credentials = {
      cert: cluster.dir.readText('pki/apiserver.crt'),
      key: cluster.dir.readText('pki/apiserver.key'),
    };
    const answer = await cluster.http({ path: '/api/v1/secrets', credentials }).then(
      ({ status: code }) => code,
      () => 401,
    );
    assert([401, 403].includes(answer), `status ${answer}`);
  });

  it('ports listen on loopback only', async () => {
    const ports = [
      cluster.spec.frontPort,
      ...cluster.spec.machines.flatMap(({ httpsPort }) => httpsPort ?? []),
    ];
    const other = Object.values((await import('node:os')).networkInterfaces())
      .flat()
      .find((address) => address?.family === 'IPv4' && !address.internal)?.address;
    if (other === undefined) return;
    for (const port of ports) {
      const open = await new Promise<boolean>((resolve) => {
        const socket = createConnection({ host: other, port });
        socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
        socket.unref();
      });
      assert.equal(open, false, `${other}:${port} accepts connections`);
    }
  });

  describe('between machines', () => {
    let system: RunningActorSystem | undefined;
    before(async () => {
      await cluster.kabukiOutput('fault', 'kill', 'worker-1');
      const { dir, spec } = cluster;
      // The test takes the place of worker-1, with its keys.
      ({ system } = createNodeSystem(
        dir,
        spec,
        machineNamed(spec, 'worker-1'),
        mainNode({ name: 'worker-1' }),
      ));
      await system.started;
    });
    after(async () => {
      await system?.stop();
      await system?.journal.close();
      await cluster.kabukiOutput('fault', 'start', 'worker-1');
      await cluster.allReady();
    });

    const clientAs = (userAgent: string) => {
      assert(system);
      const apiservers = [actorRef<ApiServerMessage>(mainNode({ name: 'master-1' }), '/apiserver')];
      return createApiClient({ system, apiservers, userAgent });
    };

    it("a worker's machine may speak as its kubelet", async () => {
      const kubelet = clientAs('kubelet');
      await waitFor('the master to answer', 20_000, async () => {
        const node = await kubelet.get(nodes, undefined, 'worker-1');
        return node.metadata?.name === 'worker-1';
      });
    });

    for (const component of [
      'kube-scheduler',
      'kube-controller-manager',
      'kubernetes-admin',
      'kubectl',
      '',
    ]) {
      it(`a worker's machine may not speak as ${component || 'nobody'}`, async () => {
        const refused = await clientAs(component)
          .list(pods)
          .then(
            () => undefined,
            (error: unknown) => error,
          );
        assert(refused instanceof ApiError, String(refused));
        assert([401, 403].includes(refused.status), `${refused.status} ${refused.message}`);
      });
    }

    it('a peer with a key that is none of the cluster, or of another cluster, gets no link', async () => {
      const master = machineNamed(cluster.spec, 'master-1');
      const worker = machineNamed(cluster.spec, 'worker-1');
      const own = cluster.dir.readMachineKeys('worker-1').secretKey;
      await system?.stop();
      await system?.journal.close();
      system = undefined;
      const attempts = [
        { what: 'a strange key', clusterId: cluster.spec.id, ...curveKeyPair() },
        { what: 'another cluster', clusterId: 'f'.repeat(32), publicKey: worker.publicKey, secretKey: own },
      ];
      for (const { what, clusterId, publicKey, secretKey } of attempts) {
        const journal = new MemoryJournal();
        const node = mainNode(worker);
        const link = new ZmqLink(node, Date.now() as Incarnation, new FaultPolicy(), {
          clusterId,
          clock: realClock,
          random: realRandom,
          journal,
          bind: worker.address,
          curve: { publicKey, secretKey, serverKeys: new Map([[mainNode(master), master.publicKey]]) },
        });
        let up = false;
        await link.start({
          onEnvelope: () => {},
          onPeerUp: () => (up = true),
          onPeerDown: () => {},
          onDrop: () => {},
        });
        link.addPeer(mainNode(master), master.address);
        if (what === 'another cluster') {
          await waitFor('both sides to say why', 15_000, async () => {
            const told = journal
              .events()
              .some(
                ({ kind, detail }) =>
                  kind?.startsWith('link.refused') && /cluster/.test(JSON.stringify(detail)),
              );
            return told && /wrong-cluster/.test(await cluster.kabukiOutput('trace', '--format', 'ndjson'));
          });
        } else {
          await waitFor('the master to have turned it away', 15_000, async () =>
            /link\.refused/.test(await cluster.kabukiOutput('trace', '--format', 'ndjson')),
          );
        }
        assert.equal(up, false, what);
        await link.close();
      }
    });
  });
});
