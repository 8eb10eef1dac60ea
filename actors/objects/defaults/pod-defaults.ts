/** Defaults of pods and of the pod templates in workloads (kubernetes pkg/apis/core/v1/defaults.go). */
import type { JsonObject } from '../typed.js';
import { isObject } from '../typed.js';
import { child, children, fill } from './fill.js';

const modeDefault = 0o644;
const tokenExpirationSecondsDefault = 3600;

/** A Pod: its spec, and what only a pod itself gets. */
export function defaultPod(pod: JsonObject): void {
  const spec = child(pod, 'spec');
  defaultPodSpec(spec);
  fill(spec, { enableServiceLinks: true });
  for (const container of allContainers(spec)) requestWhatIsLimited(container);
}

/** `object.spec.template` of a workload, or `object.template`. */
export function defaultTemplate(owner: JsonObject): void {
  const template = owner['template'];
  if (isObject(template) && isObject(template['spec'])) defaultPodSpec(template['spec']);
}

function defaultPodSpec(spec: JsonObject): void {
  fill(spec, {
    dnsPolicy: 'ClusterFirst',
    restartPolicy: 'Always',
    schedulerName: 'default-scheduler',
    securityContext: {},
    terminationGracePeriodSeconds: 30,
  });
  aliasServiceAccount(spec);
  for (const container of allContainers(spec)) defaultContainer(container, spec['hostNetwork'] === true);
  for (const volume of children(spec, 'volumes')) defaultVolume(volume);
}

function allContainers(spec: JsonObject): JsonObject[] {
  return ['initContainers', 'containers', 'ephemeralContainers'].flatMap((key) => children(spec, key));
}

/** `serviceAccount` is the old name of `serviceAccountName`; both are always shown. */
function aliasServiceAccount(spec: JsonObject): void {
  const name = spec['serviceAccountName'] ?? spec['serviceAccount'];
  if (name === undefined) return;
  spec['serviceAccountName'] = name;
  spec['serviceAccount'] = name;
}

function defaultContainer(container: JsonObject, hostNetwork: boolean): void {
  fill(container, {
    imagePullPolicy: pullPolicyOf(container['image']),
    resources: {},
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
  });
  for (const port of children(container, 'ports')) {
    fill(port, { protocol: 'TCP' });
    if (hostNetwork) fill(port, { hostPort: port['containerPort'] });
  }
  for (const variable of children(container, 'env')) {
    if (isObject(variable['valueFrom'])) defaultFieldRef(child(variable, 'valueFrom'));
  }
  for (const key of ['livenessProbe', 'readinessProbe', 'startupProbe']) {
    const probe = container[key];
    if (isObject(probe)) defaultProbe(probe);
  }
  const lifecycle = child(container, 'lifecycle');
  for (const hook of ['postStart', 'preStop']) defaultHttpGet(child(child(lifecycle, hook), 'httpGet'));
}

/** An image without a tag, or with `latest`, may have changed. */
function pullPolicyOf(image: unknown): string {
  if (typeof image !== 'string') return 'IfNotPresent';
  if (image.includes('@')) return 'IfNotPresent';
  const last = image.slice(image.lastIndexOf('/') + 1);
  const colon = last.lastIndexOf(':');
  return colon === -1 || last.slice(colon + 1) === 'latest' ? 'Always' : 'IfNotPresent';
}

function defaultProbe(probe: JsonObject): void {
  fill(probe, { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 });
  defaultHttpGet(child(probe, 'httpGet'));
  const grpc = probe['grpc'];
  if (isObject(grpc)) fill(grpc, { service: '' });
}

/** A detached object, when there is no such action, is filled in vain and harmlessly. */
function defaultHttpGet(action: JsonObject): void {
  fill(action, { path: '/', scheme: 'HTTP' });
}

function defaultFieldRef(source: JsonObject): void {
  const reference = source['fieldRef'];
  if (isObject(reference)) fill(reference, { apiVersion: 'v1' });
}

function requestWhatIsLimited(container: JsonObject): void {
  const resources = child(container, 'resources');
  const limits = resources['limits'];
  if (!isObject(limits)) return;
  const requests = isObject(resources['requests']) ? resources['requests'] : {};
  fill(requests, limits);
  resources['requests'] = requests;
}

function defaultVolume(volume: JsonObject): void {
  if (Object.keys(volume).every((key) => key === 'name')) volume['emptyDir'] = {};
  for (const key of ['secret', 'configMap', 'downwardAPI', 'projected']) {
    const source = volume[key];
    if (isObject(source)) fill(source, { defaultMode: modeDefault });
  }
  for (const item of children(child(volume, 'downwardAPI'), 'items')) defaultFieldRef(item);
  const hostPath = volume['hostPath'];
  if (isObject(hostPath)) fill(hostPath, { type: '' });
  for (const source of children(child(volume, 'projected'), 'sources')) {
    const token = source['serviceAccountToken'];
    if (isObject(token)) fill(token, { expirationSeconds: tokenExpirationSecondsDefault });
    for (const item of children(child(source, 'downwardAPI'), 'items')) defaultFieldRef(item);
  }
  const claim = child(child(child(volume, 'ephemeral'), 'volumeClaimTemplate'), 'spec');
  fill(claim, { volumeMode: 'Filesystem' });
  const iscsi = volume['iscsi'];
  if (isObject(iscsi)) fill(iscsi, { iscsiInterface: 'default' });
}
