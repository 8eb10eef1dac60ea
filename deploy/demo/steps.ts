/** The demo's steps, in order. Each returns one line for people; a step that does not hold throws. */
import { request } from 'node:http';
import { leaderAnnotation } from '../../actors/leadership/index.js';
import { storeLeader } from '../commands/fault.js';
import { control } from '../commands/options.js';
import { claim, type Stage } from './stage.js';

export interface Step {
  readonly title: string;
  run(stage: Stage): Promise<string>;
}

interface Named {
  readonly metadata: { readonly name: string };
}
interface Deployment extends Named {
  readonly spec: { readonly replicas: number };
  readonly status?: { readonly readyReplicas?: number; readonly updatedReplicas?: number };
}
interface Service extends Named {
  readonly spec: { readonly clusterIP: string; readonly ports: readonly { readonly port: number }[] };
}

export const steps: readonly Step[] = [
  { title: 'five nodes are Ready', run: nodesReady },
  { title: 'kubectl create deployment web, 3 replicas', run: createWeb },
  { title: 'kubectl expose, and a client reaches all three pods', run: reachWeb },
  { title: 'kubectl logs and exec', run: logsAndExec },
  { title: 'kubectl scale to 4', run: scaleWeb },
  { title: 'kubectl set image: a rolling update', run: rollingUpdate },
  { title: 'the leader annotation of kube-scheduler', run: electionRecord },
  { title: 'SIGKILL of the master that leads', run: killLeader },
  { title: 'the store leader cut off from the majority', run: isolateLeader },
  { title: 'a crashed scheduler actor is restarted', run: crashScheduler },
  { title: 'the trace of one kubectl create deployment', run: traceCreate },
];

async function nodesReady(stage: Stage): Promise<string> {
  const text = await stage.kubectl('get', 'nodes', '--no-headers');
  const ready = text.split('\n').filter((line) => /\sReady\s/.test(line));
  claim(ready.length === 5, `kubectl get nodes shows five Ready:\n${text}`);
  return ready.map((line) => line.split(/\s+/)[0]).join(' ');
}

async function createWeb(stage: Stage): Promise<string> {
  await stage.kubectl('create', 'deployment', 'web', '--image=nginx:1', '--replicas=3', '--port=8080');
  return (
    (await stage.kubectl('rollout', 'status', 'deployment/web', '--timeout=60s')).trim().split('\n').at(-1) ??
    ''
  );
}

async function reachWeb(stage: Stage): Promise<string> {
  await stage.kubectl('expose', 'deployment', 'web', '--port=8080');
  const service = await stage.json<Service>('get', 'service', 'web');
  const seen = new Set<string>();
  await stage.waitFor('answers of three pods', 15_000, async () => {
    seen.add(await podThatAnswers(service.spec.clusterIP, 8080));
    return seen.size === 3;
  });
  return `${service.spec.clusterIP}:8080 -> ${[...seen].sort().join(' ')}`;
}

async function logsAndExec(stage: Stage): Promise<string> {
  const pod = (await webPods(stage))[0] ?? '';
  const logs = await stage.kubectl('logs', pod);
  claim(logs.trim() !== '', `kubectl logs ${pod} prints something`);
  const out = await stage.kubectl('exec', pod, '--', '/bin/sh', '-c', 'echo "I am $HOSTNAME at $POD_IP"');
  claim(/I am .* at 127\./.test(out), `kubectl exec answers: ${out}`);
  return out.trim();
}

async function scaleWeb(stage: Stage): Promise<string> {
  await stage.kubectl('scale', 'deployment/web', '--replicas=4');
  await stage.kubectl('rollout', 'status', 'deployment/web', '--timeout=60s');
  const { status } = await stage.json<Deployment>('get', 'deployment', 'web');
  claim(status?.readyReplicas === 4, `four replicas are ready, not ${status?.readyReplicas}`);
  return '4 ready';
}

/** 4 replicas with maxUnavailable 25%: at least 3 ready endpoints at every moment. */
async function rollingUpdate(stage: Stage): Promise<string> {
  let fewest = Number.POSITIVE_INFINITY;
  let samples = 0;
  let done = false;
  const sampling = (async () => {
    while (!done) {
      const { body } = await stage.api('GET', '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices');
      const slices = (JSON.parse(body) as { items: EndpointSliceView[] }).items;
      const ready = slices
        .filter((slice) => slice.metadata.labels?.['kubernetes.io/service-name'] === 'web')
        .flatMap((slice) => slice.endpoints ?? [])
        .filter((endpoint) => endpoint.conditions?.ready !== false);
      fewest = Math.min(fewest, ready.length);
      samples += 1;
    }
  })();
  try {
    await stage.kubectl('set', 'image', 'deployment/web', 'nginx=nginx:2');
    await stage.kubectl('rollout', 'status', 'deployment/web', '--timeout=90s');
  } finally {
    done = true;
    await sampling;
  }
  claim(
    samples > 3 && fewest >= 3,
    `at least 3 ready endpoints in each of ${samples} samples, not ${fewest}`,
  );
  return `never fewer than ${fewest} ready endpoints (${samples} samples)`;
}

interface EndpointSliceView {
  readonly metadata: { readonly labels?: Readonly<Record<string, string>> };
  readonly endpoints?: readonly { readonly conditions?: { readonly ready?: boolean } }[];
}

async function electionRecord(stage: Stage): Promise<string> {
  const yaml = await stage.kubectl('get', 'endpoints', 'kube-scheduler', '-n', 'kube-system', '-o', 'yaml');
  claim(yaml.includes(leaderAnnotation), `the Endpoints carry ${leaderAnnotation}`);
  return `${await schedulerLeader(stage)} leads`;
}

async function schedulerLeader(stage: Stage): Promise<string> {
  const lease = await stage.json<{ spec: { holderIdentity: string } }>(
    'get',
    'lease',
    'kube-scheduler',
    '-n',
    'kube-system',
  );
  return lease.spec.holderIdentity.split('_')[0] ?? '';
}

async function killLeader(stage: Stage): Promise<string> {
  const machine = await schedulerLeader(stage);
  // One machine shall lead both, as the play wants it; a moved store leadership is an ordinary event.
  if ((await storeLeader(stage.dir)) !== machine) {
    await control(stage.dir, await storeLeader(stage.dir), 'store.transfer', { to: machine });
    await stage.waitFor(
      `${machine} to lead the store`,
      5_000,
      async () => (await storeLeader(stage.dir)) === machine,
    );
  }
  const { acknowledged, gapMs } = await writesAround(stage, () =>
    control(stage.dir, 'launcher', 'kill', { machine }),
  );
  claim(gapMs < 5_000, `writes are accepted within 5 s, not ${gapMs} ms`);
  await stage.waitFor('kubectl to work', 5_000, async () => (await stage.kubectl('get', 'nodes')) !== '');
  await stage.kubectl('create', 'deployment', 'after', '--image=nginx:1', '--replicas=2', '--port=8080');
  await stage.kubectl('rollout', 'status', 'deployment/after', '--timeout=60s');
  const present = await configMapNames(stage);
  const lost = acknowledged.filter((name) => !present.has(name));
  claim(lost.length === 0, `no acknowledged write is lost, but ${lost.join(', ')} are`);
  await control(stage.dir, 'launcher', 'start', { machine });
  await stage.waitFor('five nodes to be Ready again', 30_000, async () => {
    const text = await stage.kubectl('get', 'nodes', '--no-headers');
    return text.split('\n').filter((line) => /\sReady\s/.test(line)).length === 5;
  });
  return `${machine} killed; writes again after ${gapMs} ms; new pods run; ${acknowledged.length} acknowledged writes kept`;
}

/** Creates config maps one after another, strikes after 20, and goes on for 20 more; counts only what was acknowledged. */
async function writesAround(
  stage: Stage,
  strike: () => Promise<unknown>,
): Promise<{ acknowledged: string[]; gapMs: number }> {
  const acknowledged: string[] = [];
  let struckAt = 0;
  let gapMs: number | undefined;
  for (let i = 0; acknowledged.length < 40 && i < 400; i += 1) {
    if (acknowledged.length === 20 && struckAt === 0) {
      await strike();
      struckAt = Date.now();
    }
    const name = `durable-${i}`;
    try {
      const { status } = await stage.api('POST', '/api/v1/namespaces/default/configmaps', {
        metadata: { name },
      });
      if (status !== 201) continue;
      acknowledged.push(name);
      if (struckAt !== 0) gapMs ??= Date.now() - struckAt;
    } catch (error) {
      // Right after the strike a write may fail or stay unknown; it then is not among those that must be there.
      if (struckAt === 0) throw error;
    }
  }
  return { acknowledged, gapMs: gapMs ?? Number.POSITIVE_INFINITY };
}

async function configMapNames(stage: Stage, port?: number): Promise<Set<string>> {
  const { body } = await stage.api('GET', '/api/v1/namespaces/default/configmaps', undefined, port);
  return new Set((JSON.parse(body) as { items: Named[] }).items.map((item) => item.metadata.name));
}

async function isolateLeader(stage: Stage): Promise<string> {
  const cut = await storeLeader(stage.dir);
  const others = stage.spec.machines.map((machine) => machine.name).filter((name) => name !== cut);
  const rule = (id: string, from: string[], to: string[]) => ({ id, from, to, action: { type: 'cut' } });
  await control(stage.dir, cut, 'fault.add', { rule: rule('demo', [cut], others) });
  await Promise.all(
    others.map((name) => control(stage.dir, name, 'fault.add', { rule: rule('demo', [name], [cut]) })),
  );
  const majority = stage.spec.machines.find((machine) => machine.role === 'master' && machine.name !== cut);
  await stage.waitFor('the majority to accept a write', 8_000, async () => {
    const body = { metadata: { name: 'by-the-majority' } };
    const { status } = await stage.api(
      'POST',
      '/api/v1/namespaces/default/configmaps',
      body,
      majority?.httpsPort,
    );
    return status === 201 || status === 409;
  });
  const refused = await stage
    .api(
      'POST',
      '/api/v1/namespaces/default/configmaps',
      { metadata: { name: 'by-the-minority' } },
      stage.httpsPort(cut),
      15_000,
    )
    .then(
      ({ status }) => status,
      () => 0,
    );
  claim(refused !== 201, 'the leader that was cut off accepts no write');
  await Promise.all(stage.spec.machines.map((machine) => control(stage.dir, machine.name, 'fault.clear')));
  const masters = stage.spec.machines.filter((machine) => machine.role === 'master');
  await stage.waitFor('all masters to agree', 15_000, async () => {
    const views = await Promise.all(masters.map((machine) => configMapNames(stage, machine.httpsPort)));
    return views.every((view) => view.has('by-the-majority') && !view.has('by-the-minority'));
  });
  return `${cut} was cut off and answered ${refused || 'nothing'}; the majority went on; all agree after the heal`;
}

async function crashScheduler(stage: Stage): Promise<string> {
  const machine = await schedulerLeader(stage);
  const { tree } = await control<{ tree: TreeView[] }>(stage.dir, machine, 'tree');
  const actor = flatten(tree).find(
    (node) => node.path.endsWith('/scheduler') && node.children.length === 0 && node.state === 'running',
  );
  claim(actor !== undefined, `${machine} runs a scheduler actor`);
  await control(stage.dir, machine, 'crash', { path: actor.path });
  await stage.waitFor(`${actor.path} to be restarted`, 10_000, async () => {
    const now = flatten((await control<{ tree: TreeView[] }>(stage.dir, machine, 'tree')).tree);
    const again = now.find((node) => node.path === actor.path);
    return again !== undefined && again.restarts > actor.restarts && again.state === 'running';
  });
  await stage.kubectl('scale', 'deployment/web', '--replicas=5');
  await stage.kubectl('rollout', 'status', 'deployment/web', '--timeout=60s');
  return `${machine}${actor.path} crashed, was restarted, and schedules`;
}

interface TreeView {
  readonly path: string;
  readonly state: string;
  readonly restarts: number;
  readonly children: readonly TreeView[];
}

function flatten(nodes: readonly TreeView[]): TreeView[] {
  return nodes.flatMap((node) => [node, ...flatten(node.children)]);
}

/** The whole diagram is what `kabuki trace deployments/default/traced --format mermaid` prints. */
const traceLinesShown = 70;

async function traceCreate(stage: Stage): Promise<string> {
  const { traceOfObject } = await import('../commands/trace.js');
  await stage.kubectl('create', 'deployment', 'traced', '--image=nginx:1', '--port=8080');
  await stage.kubectl('rollout', 'status', 'deployment/traced', '--timeout=60s');
  let diagram = '';
  const path = ['apiserver', 'store', 'controllers', 'scheduler', 'kubelet'];
  await stage.waitFor(`the trace to show ${path.join(', ')}`, 10_000, async () => {
    diagram = await traceOfObject(stage.dir, 'deployments/default/traced', 'mermaid');
    return path.every((part) => diagram.includes(part));
  });
  const lines = diagram.split('\n');
  const shown = lines.slice(0, traceLinesShown);
  return `${path.join(' -> ')}, in ${lines.length} lines of Mermaid; it begins:\n${shown.join('\n')}`;
}

/** The stand-in's page names the pod that serves it. */
function podThatAnswers(host: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const call = request({ host, port, path: '/', agent: false, timeout: 2_000 }, (response) => {
      let page = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (page += chunk));
      response.on('error', reject);
      response.on('end', () => {
        const pod = /pod (\S+) on node/.exec(page)?.[1];
        if (pod) resolve(pod);
        else reject(new Error(`the answer does not name its pod: ${page.slice(0, 80)}`));
      });
    });
    call.on('timeout', () => call.destroy(new Error(`${host}:${port} does not answer`)));
    call.on('error', reject);
    call.end();
  });
}

async function webPods(stage: Stage): Promise<string[]> {
  const { items } = await stage.json<{ items: Named[] }>('get', 'pods', '-l', 'app=web');
  return items.map((item) => item.metadata.name);
}
