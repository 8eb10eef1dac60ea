/** The ConfigMap kube-root-ca.crt in every namespace: how pods know the apiserver (KEP-1205). */
import {
  configMaps,
  controllerActor,
  type Informer,
  isAlreadyExists,
  keysOf,
  namespaces,
} from '../client/index.js';
import type { ConfigMap, Namespace } from '../objects/types/core.js';
import type { ChildSpec } from '../runtime/index.js';
import type { ControllerContext } from './context.js';
import { controllerLimits } from './limits.js';
import { isTerminatingNamespace } from './terminating-namespace.js';

const mapName = 'kube-root-ca.crt';
const dataKey = 'ca.crt';
const description =
  'Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the ' +
  'internal service IP or kubernetes.default.svc.';

/** `rootCa`: PEM. */
export function rootCaController(context: ControllerContext, rootCa: string): ChildSpec<never> {
  const spaces: Informer<Namespace> = context.informers.informer(namespaces);
  const maps: Informer<ConfigMap> = context.informers.informer(configMaps, {
    fieldSelector: `metadata.name=${mapName}`,
  });
  return controllerActor({
    name: 'root-ca-certificate-publisher',
    workers: controllerLimits.workers,
    sources: [
      keysOf(spaces, (namespace) => [namespace.metadata?.name ?? '']),
      keysOf(maps, ({ metadata }) => [metadata?.namespace ?? '']),
    ],
    async reconcile(name) {
      const namespace = spaces.get(name);
      if (!namespace || namespace.metadata?.deletionTimestamp) return;
      const current = maps.get(`${name}/${mapName}`);
      if (current && isComplete(current, rootCa)) return;
      const wanted = rootCaMap(name, rootCa);
      try {
        if (current) await context.client.update(configMaps, withOldMetadata(wanted, current));
        else await context.client.create(configMaps, wanted);
      } catch (error) {
        if (!isAlreadyExists(error) && !isTerminatingNamespace(error)) throw error;
      }
    },
  });
}

function rootCaMap(namespace: string, rootCa: string): ConfigMap {
  return {
    metadata: { name: mapName, namespace, annotations: { 'kubernetes.io/description': description } },
    data: { [dataKey]: rootCa },
  };
}

function isComplete({ data, binaryData, metadata }: ConfigMap, rootCa: string): boolean {
  const keys = [...Object.keys(data ?? {}), ...Object.keys(binaryData ?? {})];
  const isDescribed = metadata?.annotations?.['kubernetes.io/description'] !== undefined;
  return isDescribed && keys.length === 1 && data?.[dataKey] === rootCa;
}

function withOldMetadata(wanted: ConfigMap, { metadata }: ConfigMap): ConfigMap {
  const annotations = { ...metadata?.annotations, ...wanted.metadata?.annotations };
  return { ...wanted, metadata: { ...metadata, annotations } };
}
