/** Fetches what a pod refers to: ConfigMaps, Secrets, tokens of its service account. */
import { configMaps, isNotFound, secrets, serviceAccounts } from '../client/index.js';
import type { TokenRequest } from '../objects/types/authentication.js';
import type { ConfigMap, Pod, Secret, ServiceAccountTokenProjection } from '../objects/types/core.js';
import type { KubeletParts } from './kubelet-parts.js';
import { tokenKey } from './volume-content.js';

export interface PodObjects {
  readonly configMaps: ReadonlyMap<string, ConfigMap>;
  readonly secrets: ReadonlyMap<string, Secret>;
}

/** What does not exist is left out; rejects with ApiError if it cannot be known. */
export async function fetchObjects(
  parts: KubeletParts,
  pod: Pod,
  names: { readonly configMaps: readonly string[]; readonly secrets: readonly string[] },
): Promise<PodObjects> {
  const namespace = pod.metadata?.namespace;
  const found = { configMaps: new Map<string, ConfigMap>(), secrets: new Map<string, Secret>() };
  for (const name of names.configMaps) {
    const object = await orUndefined(parts.client.get(configMaps, namespace, name));
    if (object !== undefined) found.configMaps.set(name, object);
  }
  for (const name of names.secrets) {
    const object = await orUndefined(parts.client.get(secrets, namespace, name));
    if (object !== undefined) found.secrets.set(name, object);
  }
  return found;
}

export interface IssuedToken {
  readonly token: string;
  readonly renewAtMs: number;
}

/** Tokens bound to the pod (TokenRequest), each asked for once until `renewAtMs`. */
export class TokenCache {
  readonly #parts: KubeletParts;
  readonly #issued = new Map<string, IssuedToken>();

  constructor(parts: KubeletParts) {
    this.#parts = parts;
  }

  async tokens(
    pod: Pod,
    wanted: readonly ServiceAccountTokenProjection[],
    nowMs: number,
  ): Promise<ReadonlyMap<string, string>> {
    const tokens = new Map<string, string>();
    for (const projection of wanted) {
      const key = tokenKey(projection);
      let issued = this.#issued.get(key);
      if (issued === undefined || nowMs >= issued.renewAtMs) {
        issued = await this.#request(pod, projection, nowMs);
        this.#issued.set(key, issued);
      }
      tokens.set(key, issued.token);
    }
    return tokens;
  }

  async #request(pod: Pod, projection: ServiceAccountTokenProjection, nowMs: number): Promise<IssuedToken> {
    const { name = '', namespace, uid = '' } = pod.metadata ?? {};
    const expirationSeconds = projection.expirationSeconds ?? 3600;
    const request: TokenRequest = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: {
        audiences: projection.audience === undefined ? [] : [projection.audience],
        expirationSeconds,
        boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid },
      },
    };
    const account = pod.spec?.serviceAccountName ?? 'default';
    const { client, limits } = this.#parts;
    const answer = (await client.createSubresource(
      serviceAccounts,
      namespace,
      account,
      'token',
      request,
    )) as TokenRequest;
    const token = answer.status?.token;
    if (token === undefined)
      throw new TypeError(`the apiserver issued no token for service account ${account}`);
    return { token, renewAtMs: nowMs + expirationSeconds * 1000 * limits.tokenRenewFraction };
  }
}

async function orUndefined<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}
