import { strict as assert } from 'node:assert';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Kubectl } from '../harness/kubectl.js';
import { freshNamespace, sharedCluster } from '../harness/shared-cluster.js';

const files = {
  'Chart.yaml': 'apiVersion: v2\nname: small\nversion: 0.1.0\n',
  'values.yaml': 'replicas: 1\nimage: "nginx:1"\ngreeting: hello\n',
  'templates/all.yaml': `apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {release: {{ .Release.Name }}}}
  template:
    metadata: {labels: {release: {{ .Release.Name }}}}
    spec: {containers: [{name: web, image: {{ .Values.image }}, ports: [{containerPort: 8080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: {{ .Release.Name }}}
spec:
  selector: {release: {{ .Release.Name }}}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}}
data: {greeting: {{ .Values.greeting }}}
`,
};

describe('helm', function () {
  this.timeout(180_000);
  let kubectl: Kubectl;
  let chart: string;
  before(async () => {
    await sharedCluster();
    kubectl = await freshNamespace('helm');
    chart = mkdtempSync(join(tmpdir(), 'kabuki-chart-'));
    mkdirSync(join(chart, 'templates'));
    for (const [name, text] of Object.entries(files)) writeFileSync(join(chart, name), text);
  });
  after(() => chart && rmSync(chart, { recursive: true }));
  const helm = (...args: string[]) => kubectl.helm(...args);
  const greeting = () => kubectl.run('get', 'configmap', 'small', '-o', 'jsonpath={.data.greeting}');

  it('install --wait resolves when the pods are ready', async () => {
    assert.match(await helm('install', 'small', chart, '--wait', '--timeout=90s'), /STATUS: deployed/);
    const ready = await kubectl.run('get', 'deployment', 'small', '-o', 'jsonpath={.status.readyReplicas}');
    assert.equal(ready, '1');
    assert.match(await helm('list'), /small.*deployed.*small-0\.1\.0/);
  });

  it('upgrade changes what the values change', async () => {
    await helm('upgrade', 'small', chart, '--set=replicas=2,greeting=hi', '--wait', '--timeout=90s');
    assert.equal(await greeting(), 'hi');
    const ready = await kubectl.run('get', 'deployment', 'small', '-o', 'jsonpath={.status.readyReplicas}');
    assert.equal(ready, '2');
  });

  it('rollback goes back', async () => {
    await helm('rollback', 'small', '1', '--wait', '--timeout=90s');
    assert.equal(await greeting(), 'hello');
    assert.equal((await helm('history', 'small')).trim().split('\n').length, 4);
  });

  it('install of the same name is refused', async () => {
    await assert.rejects(helm('install', 'small', chart), /cannot re-?use a name that is still in use/);
  });

  it('uninstall --wait leaves nothing', async () => {
    assert.match(await helm('uninstall', 'small', '--wait', '--timeout=90s'), /release "small" uninstalled/);
    const left = await kubectl.run('get', 'deployments,services,secrets', '-o', 'name');
    assert.equal(left, '');
  });
});
