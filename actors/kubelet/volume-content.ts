/**
 * What the volumes of a pod contain, as files; pure. `volumeNeeds` says which objects that takes,
 * `volumeContent` makes the files of them. Kinds of volumes that this node cannot offer are refused with a
 * message that says so.
 */
import type {
  ConfigMap,
  KeyToPath,
  Pod,
  Secret,
  ServiceAccountTokenProjection,
  Volume,
  VolumeProjection,
} from '../objects/types/core.js';
import { type EnvironmentSources, fieldValue, resourceValue } from './container-environment.js';
import type { VolumeContent, VolumeFile } from './container-runtime.js';

export interface VolumeSources extends Pick<EnvironmentSources, 'podIP' | 'hostIP' | 'allocatable'> {
  readonly configMaps: ReadonlyMap<string, ConfigMap>;
  readonly secrets: ReadonlyMap<string, Secret>;
  /** By `tokenKey`. */
  readonly tokens: ReadonlyMap<string, string>;
}

/** `FailedMount`: the pod waits until it can be had. */
export class VolumeError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'VolumeError';
  }
}

export interface VolumeNeeds {
  readonly configMaps: readonly string[];
  readonly secrets: readonly string[];
  readonly tokens: readonly ServiceAccountTokenProjection[];
  /** The files may change while the pod runs. */
  readonly refreshed: boolean;
}

const defaultFileMode = 0o644;

export function volumeNeeds(pod: Pod): VolumeNeeds {
  const configMaps = new Set<string>();
  const secrets = new Set<string>();
  const tokens: ServiceAccountTokenProjection[] = [];
  let refreshed = false;
  for (const volume of pod.spec?.volumes ?? []) {
    const projections = volume.projected?.sources ?? [];
    const parts: readonly (Volume | VolumeProjection)[] = [volume, ...projections];
    for (const part of parts) {
      if (part.configMap?.name) configMaps.add(part.configMap.name);
      const secret = part.secret;
      const secretName =
        secret && ('secretName' in secret ? secret.secretName : 'name' in secret ? secret.name : '');
      if (secretName) secrets.add(secretName);
      if ('serviceAccountToken' in part && part.serviceAccountToken) tokens.push(part.serviceAccountToken);
      if (part.configMap || part.secret || part.downwardAPI || tokens.length > 0) refreshed = true;
    }
  }
  return { configMaps: [...configMaps].sort(), secrets: [...secrets].sort(), tokens, refreshed };
}

export function tokenKey(projection: ServiceAccountTokenProjection): string {
  return `${projection.audience ?? ''}/${projection.expirationSeconds ?? 3600}`;
}

/** Throws VolumeError. */
export function volumeContent(pod: Pod, volume: Volume, sources: VolumeSources): VolumeContent {
  const { name } = volume;
  if (volume.emptyDir) return { type: 'empty', name };
  if (volume.hostPath)
    return { type: 'host', name, path: volume.hostPath.path, check: volume.hostPath.type ?? '' };
  const kind = Object.keys(volume).find((key) => key !== 'name') ?? 'emptyDir';
  switch (kind) {
    case 'configMap': {
      const mode = volume.configMap?.defaultMode;
      return { type: 'files', name, files: configMapFiles(volume.configMap!, sources, mode) };
    }
    case 'secret': {
      const { secretName, defaultMode, ...rest } = volume.secret!;
      const ref = { ...rest, ...(secretName === undefined ? {} : { name: secretName }) };
      return { type: 'files', name, files: secretFiles(ref, sources, defaultMode) };
    }
    case 'downwardAPI':
      return {
        type: 'files',
        name,
        files: downwardFiles(pod, volume.downwardAPI!, sources, volume.downwardAPI?.defaultMode),
      };
    case 'projected': {
      const mode = volume.projected?.defaultMode;
      const files = (volume.projected?.sources ?? []).flatMap((part) =>
        projectedFiles(pod, part, sources, mode),
      );
      return { type: 'files', name, files };
    }
    case 'emptyDir':
      return { type: 'empty', name };
    default:
      throw new VolumeError(
        `volume "${name}": ${kind} volumes are not supported on this node; use emptyDir, hostPath, ` +
          'configMap, secret, downwardAPI or projected',
      );
  }
}

function projectedFiles(
  pod: Pod,
  part: VolumeProjection,
  sources: VolumeSources,
  mode: number | undefined,
): VolumeFile[] {
  if (part.configMap) return configMapFiles(part.configMap, sources, mode);
  if (part.secret) return secretFiles(part.secret, sources, mode);
  if (part.downwardAPI) return downwardFiles(pod, part.downwardAPI, sources, mode);
  if (part.serviceAccountToken) {
    const token = sources.tokens.get(tokenKey(part.serviceAccountToken));
    if (token === undefined) throw new VolumeError('the service account token has not been issued yet');
    return [
      { path: part.serviceAccountToken.path, bytes: Buffer.from(token), mode: mode ?? defaultFileMode },
    ];
  }
  throw new VolumeError(`projected volumes cannot take ${Object.keys(part).join(', ')} on this node`);
}

interface KeyedRef {
  readonly name?: string;
  readonly items?: KeyToPath[];
  readonly optional?: boolean;
}

function configMapFiles(ref: KeyedRef, sources: VolumeSources, mode: number | undefined): VolumeFile[] {
  const object = sources.configMaps.get(ref.name ?? '');
  if (object === undefined && !ref.optional) throw new VolumeError(`configmap "${ref.name}" not found`);
  const data = new Map<string, Uint8Array>();
  for (const [key, text] of Object.entries(object?.data ?? {})) data.set(key, Buffer.from(text));
  for (const [key, text] of Object.entries(object?.binaryData ?? {}))
    data.set(key, Buffer.from(text, 'base64'));
  return keyedFiles(data, ref, mode, `configmap "${ref.name}"`);
}

function secretFiles(ref: KeyedRef, sources: VolumeSources, mode: number | undefined): VolumeFile[] {
  const object = sources.secrets.get(ref.name ?? '');
  if (object === undefined && !ref.optional) throw new VolumeError(`secret "${ref.name}" not found`);
  const entries = Object.entries(object?.data ?? {});
  const data = new Map(entries.map(([key, text]) => [key, Buffer.from(text, 'base64')] as const));
  return keyedFiles(data, ref, mode, `secret "${ref.name}"`);
}

function keyedFiles(
  data: ReadonlyMap<string, Uint8Array>,
  ref: KeyedRef,
  mode: number | undefined,
  what: string,
): VolumeFile[] {
  const otherwise = mode ?? defaultFileMode;
  if (ref.items === undefined || ref.items.length === 0) {
    return [...data.keys()].sort().map((path) => ({ path, bytes: data.get(path)!, mode: otherwise }));
  }
  return ref.items.flatMap((item) => {
    const bytes = data.get(item.key);
    if (bytes === undefined && !ref.optional) {
      throw new VolumeError(`${what} references non-existent config key: ${item.key}`);
    }
    return bytes === undefined ? [] : [{ path: item.path, bytes, mode: item.mode ?? otherwise }];
  });
}

function downwardFiles(
  pod: Pod,
  ref: NonNullable<VolumeProjection['downwardAPI']>,
  sources: VolumeSources,
  mode: number | undefined,
): VolumeFile[] {
  return (ref.items ?? []).map((item) => {
    const text = item.fieldRef
      ? fieldValue(pod, item.fieldRef.fieldPath, sources)
      : resourceValue(pod, undefined, item.resourceFieldRef ?? { resource: '' }, sources.allocatable);
    return { path: item.path, bytes: Buffer.from(text), mode: item.mode ?? mode ?? defaultFileMode };
  });
}
