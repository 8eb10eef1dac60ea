/**
 * What a container is started with: variables (services, envFrom, env with `$(VAR)`), command and
 * arguments. Pure; the ConfigMaps, Secrets and Services that it needs are given.
 */
import type {
  ConfigMap,
  Container,
  EnvVar,
  EnvVarSource,
  Node,
  Pod,
  Secret,
  Service,
} from '../objects/types/core.js';
import type { ResolvedImage } from './container-runtime.js';
import { parseQuantity } from '../objects/index.js';

export interface EnvironmentSources {
  readonly podIP: string;
  readonly hostIP: string;
  /** `allocatable` of the node: what a container without limits may use. */
  readonly allocatable: NonNullable<Node['status']>['allocatable'];
  /** Of the pod's namespace, and `default/kubernetes`. */
  readonly services: readonly Service[];
  readonly configMaps: ReadonlyMap<string, ConfigMap>;
  readonly secrets: ReadonlyMap<string, Secret>;
}

/** `CreateContainerConfigError` in the status: something that the container refers to is not there. */
export class ContainerConfigError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ContainerConfigError';
  }
}

/** Names of the ConfigMaps and Secrets that the container's variables come from. */
export function referencesOf(container: Container): {
  readonly configMaps: string[];
  readonly secrets: string[];
} {
  const configMaps = new Set<string>();
  const secrets = new Set<string>();
  for (const { configMapRef, secretRef } of container.envFrom ?? []) {
    if (configMapRef?.name) configMaps.add(configMapRef.name);
    if (secretRef?.name) secrets.add(secretRef.name);
  }
  for (const { valueFrom } of container.env ?? []) {
    if (valueFrom?.configMapKeyRef?.name) configMaps.add(valueFrom.configMapKeyRef.name);
    if (valueFrom?.secretKeyRef?.name) secrets.add(valueFrom.secretKeyRef.name);
  }
  return { configMaps: [...configMaps].sort(), secrets: [...secrets].sort() };
}

/** In order; a later variable replaces an earlier one of the same name. Throws ContainerConfigError. */
export function environmentOf(
  pod: Pod,
  container: Container,
  sources: EnvironmentSources,
): Map<string, string> {
  const env = new Map<string, string>([
    ['HOSTNAME', pod.spec?.hostname ?? pod.metadata?.name ?? ''],
    ['POD_IP', sources.podIP],
    ...serviceVariables(pod, sources.services),
  ]);
  for (const from of container.envFrom ?? []) {
    const data = from.configMapRef
      ? configMapData(sources, from.configMapRef)
      : from.secretRef
        ? secretData(sources, from.secretRef)
        : {};
    for (const key of Object.keys(data).sort()) env.set(`${from.prefix ?? ''}${key}`, data[key]!);
  }
  for (const variable of container.env ?? []) {
    const value = valueOf(pod, container, variable, sources, env);
    if (value !== undefined) env.set(variable.name, value);
  }
  return env;
}

/** Program and arguments: `command` replaces the image's entrypoint, `args` its arguments. */
export function argvOf(
  container: Container,
  image: ResolvedImage,
  env: ReadonlyMap<string, string>,
): string[] {
  const expanded = (words: readonly string[]) => words.map((word) => expand(word, env));
  const command = expanded(container.command ?? []);
  const args = expanded(container.args ?? []);
  if (command.length === 0) {
    return [...image.entrypoint, ...(args.length > 0 ? args : image.cmd)];
  }
  const program = image.programs[command[0]!] ?? [command[0]!];
  return [...program, ...command.slice(1), ...args];
}

/** `$(NAME)` becomes the variable's value if there is one, `$$` an escaped `$`; all else stays as it is. */
export function expand(text: string, env: ReadonlyMap<string, string>): string {
  return text.replaceAll(/\$\$|\$\(([^()]*)\)/g, (found, name: string | undefined) => {
    if (found === '$$') return '$';
    return env.get(name ?? '') ?? found;
  });
}

/** `REDIS_SERVICE_HOST` and the Docker-style variables of every service with a virtual IP. */
function serviceVariables(pod: Pod, services: readonly Service[]): [string, string][] {
  const links = pod.spec?.enableServiceLinks ?? true;
  const variables: [string, string][] = [];
  for (const service of services) {
    const { clusterIP, ports = [] } = service.spec ?? {};
    if (!clusterIP || clusterIP === 'None' || ports.length === 0) continue;
    const { name = '', namespace } = service.metadata ?? {};
    const isKubernetes = name === 'kubernetes' && namespace === 'default';
    if (!isKubernetes && (!links || namespace !== pod.metadata?.namespace)) continue;
    const prefix = name.toUpperCase().replaceAll('-', '_');
    const first = ports[0]!;
    variables.push([`${prefix}_SERVICE_HOST`, clusterIP], [`${prefix}_SERVICE_PORT`, String(first.port)]);
    for (const port of ports) {
      if (port.name) {
        variables.push([
          `${prefix}_SERVICE_PORT_${port.name.toUpperCase().replaceAll('-', '_')}`,
          String(port.port),
        ]);
      }
    }
    const urlOf = (port: (typeof ports)[number]) =>
      `${(port.protocol ?? 'TCP').toLowerCase()}://${clusterIP}:${port.port}`;
    variables.push([`${prefix}_PORT`, urlOf(first)]);
    for (const port of ports) {
      const protocol = port.protocol ?? 'TCP';
      const base = `${prefix}_PORT_${port.port}_${protocol}`;
      variables.push(
        [base, urlOf(port)],
        [`${base}_PROTO`, protocol.toLowerCase()],
        [`${base}_PORT`, String(port.port)],
        [`${base}_ADDR`, clusterIP],
      );
    }
  }
  return variables;
}

function valueOf(
  pod: Pod,
  container: Container,
  variable: EnvVar,
  sources: EnvironmentSources,
  env: ReadonlyMap<string, string>,
): string | undefined {
  const from = variable.valueFrom;
  if (from === undefined) return expand(variable.value ?? '', env);
  const { configMapKeyRef, secretKeyRef } = from;
  if (configMapKeyRef) {
    return valueIn('ConfigMap', configMapData(sources, configMapKeyRef), configMapKeyRef, pod);
  }
  if (secretKeyRef) return valueIn('Secret', secretData(sources, secretKeyRef), secretKeyRef, pod);
  if (from.fieldRef) return fieldValue(pod, from.fieldRef.fieldPath, sources);
  if (from.resourceFieldRef) return resourceValue(pod, container, from.resourceFieldRef, sources.allocatable);
  throw new ContainerConfigError(
    `variable ${variable.name}: this kind of valueFrom (${Object.keys(from)}) is not supported`,
  );
}

type KeyRef = NonNullable<EnvVarSource['configMapKeyRef']>;

function valueIn(
  kind: 'ConfigMap' | 'Secret',
  data: Readonly<Record<string, string>>,
  ref: KeyRef,
  pod: Pod,
): string | undefined {
  const value = data[ref.key];
  if (value !== undefined || ref.optional) return value;
  throw new ContainerConfigError(
    `couldn't find key ${ref.key} in ${kind} ${pod.metadata?.namespace}/${ref.name}`,
  );
}

interface ObjectRef {
  readonly name?: string;
  readonly optional?: boolean;
}

function configMapData(sources: EnvironmentSources, ref: ObjectRef): Readonly<Record<string, string>> {
  const found = sources.configMaps.get(ref.name ?? '');
  if (found === undefined && !ref.optional)
    throw new ContainerConfigError(`configmap "${ref.name}" not found`);
  return found?.data ?? {};
}

function secretData(sources: EnvironmentSources, ref: ObjectRef): Readonly<Record<string, string>> {
  const found = sources.secrets.get(ref.name ?? '');
  if (found === undefined && !ref.optional) throw new ContainerConfigError(`secret "${ref.name}" not found`);
  const entries = Object.entries(found?.data ?? {});
  return Object.fromEntries(
    entries.map(([key, value]) => [key, Buffer.from(value, 'base64').toString('utf8')]),
  );
}

/** The downward API's fields, for variables and for files. Throws ContainerConfigError on an unknown one. */
export function fieldValue(
  pod: Pod,
  path: string,
  sources: Pick<EnvironmentSources, 'podIP' | 'hostIP'>,
): string {
  const { metadata = {}, spec } = pod;
  const keyed = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path);
  if (keyed) return metadata[keyed[1] as 'labels' | 'annotations']?.[keyed[2]!] ?? '';
  switch (path) {
    case 'metadata.name':
      return metadata.name ?? '';
    case 'metadata.namespace':
      return metadata.namespace ?? '';
    case 'metadata.uid':
      return metadata.uid ?? '';
    case 'metadata.labels':
      return printMap(metadata.labels);
    case 'metadata.annotations':
      return printMap(metadata.annotations);
    case 'spec.nodeName':
      return spec?.nodeName ?? '';
    case 'spec.serviceAccountName':
      return spec?.serviceAccountName ?? '';
    case 'status.hostIP':
    case 'status.hostIPs':
      return sources.hostIP;
    case 'status.podIP':
    case 'status.podIPs':
      return sources.podIP;
    default:
      throw new ContainerConfigError(`unsupported fieldPath: ${path}`);
  }
}

function printMap(map: Readonly<Record<string, string>> | undefined): string {
  const keys = Object.keys(map ?? {}).sort();
  return keys.map((key) => `${key}=${JSON.stringify(map![key])}`).join('\n');
}

interface ResourceRef {
  readonly containerName?: string;
  readonly resource: string;
  readonly divisor?: string;
}

/** `limits.cpu` and the like in units of `divisor`, rounded up; without a limit what the node has. */
export function resourceValue(
  pod: Pod,
  container: Container | undefined,
  ref: ResourceRef,
  allocatable: EnvironmentSources['allocatable'],
): string {
  const all = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
  const named =
    ref.containerName === undefined ? container : all.find(({ name }) => name === ref.containerName);
  const [kind = '', ...rest] = ref.resource.split('.');
  const name = rest.join('.');
  if (named === undefined || (kind !== 'limits' && kind !== 'requests') || name === '') {
    throw new ContainerConfigError(`unsupported container resource: ${ref.resource}`);
  }
  const { limits, requests } = named.resources ?? {};
  const limit = limits?.[name] ?? allocatable?.[name] ?? '0';
  const quantity = kind === 'limits' ? limit : (requests?.[name] ?? limits?.[name] ?? '0');
  const divisor = parseQuantity(ref.divisor ?? '1').nanos || parseQuantity('1').nanos;
  return String((parseQuantity(quantity).nanos + divisor - 1n) / divisor);
}
