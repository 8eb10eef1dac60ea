/**
 * Who is it? Client certificates (CN is the user, O the groups), static bearer tokens and service account tokens;
 * anonymous only where everybody may look. Impersonation comes on top and is authorised like any other verb.
 */
import type { Identity } from './request.js';
import { unauthorized } from './status.js';
import { objectKey, resourcePrefix } from './storage.js';
import type { ServiceAccountClaims, TokenSigner } from './tokens.js';
import type { WatchCache } from './watch-cache.js';

export interface Credentials {
  /** Of a client certificate that verified; undefined without one. */
  readonly certificate?: { readonly commonName: string; readonly organizations: readonly string[] };
  readonly authorization?: string;
}

export interface AuthenticatorOptions {
  readonly staticTokens?: ReadonlyMap<string, Identity>;
  readonly tokens?: TokenSigner;
  /** Whether the service account of the token still exists under that uid. */
  readonly accountExists?: (claims: ServiceAccountClaims) => boolean;
  readonly nowMs: () => number;
}

export const anonymous: Identity = { username: 'system:anonymous', groups: ['system:unauthenticated'] };

const openPaths = new Set(['/healthz', '/livez', '/readyz', '/version']);

/** Paths that need no credentials. */
export function isOpenPath(path: string): boolean {
  return openPaths.has(path) || /^\/(healthz|livez|readyz)\//.test(path);
}

/** Undefined: no credentials. Throws 401 for wrong ones. */
export async function authenticate(
  credentials: Credentials,
  options: AuthenticatorOptions,
): Promise<Identity | undefined> {
  const bearer = /^Bearer +(\S+)\s*$/i.exec(credentials.authorization ?? '');
  if (bearer) return await identifyToken(bearer[1]!, options);
  if (credentials.certificate) {
    const { commonName, organizations } = credentials.certificate;
    if (commonName === '') throw unauthorized();
    return { username: commonName, groups: [...organizations, 'system:authenticated'] };
  }
  if (credentials.authorization) throw unauthorized();
  return undefined;
}

async function identifyToken(token: string, options: AuthenticatorOptions): Promise<Identity> {
  const known = options.staticTokens?.get(token);
  if (known) return withAuthenticated(known);
  const claims = await verifyToken(token, options, undefined);
  if (!claims) throw unauthorized();
  return claims;
}

/** The identity of a service account token; undefined when it does not hold. */
export async function verifyToken(
  token: string,
  { tokens, accountExists, nowMs }: AuthenticatorOptions,
  audiences: readonly string[] | undefined,
): Promise<Identity | undefined> {
  const claims = await tokens?.verify(token);
  if (!tokens || !claims) return undefined;
  const wanted = audiences && audiences.length > 0 ? audiences : tokens.audiences;
  if (!claims.audiences.some((audience) => wanted.includes(audience))) return undefined;
  if (claims.expiresAt * 1_000 <= nowMs()) return undefined;
  if (accountExists && !accountExists(claims)) return undefined;
  return serviceAccountIdentity(claims);
}

function serviceAccountIdentity(claims: ServiceAccountClaims): Identity {
  const { namespace, serviceAccount, serviceAccountUid, pod, node, id } = claims;
  return {
    username: `system:serviceaccount:${namespace}:${serviceAccount}`,
    uid: serviceAccountUid,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
    extra: {
      'authentication.kubernetes.io/credential-id': [`JTI=${id}`],
      ...(pod && {
        'authentication.kubernetes.io/pod-name': [pod.name],
        'authentication.kubernetes.io/pod-uid': [pod.uid],
      }),
      ...(node && { 'authentication.kubernetes.io/node-name': [node.name] }),
    },
  };
}

function withAuthenticated(identity: Identity): Identity {
  if (identity.groups.includes('system:authenticated')) return identity;
  return { ...identity, groups: [...identity.groups, 'system:authenticated'] };
}

/** Whether what a token is bound to still exists, as far as the cache knows. */
export function accountExistsIn(cache: WatchCache): (claims: ServiceAccountClaims) => boolean {
  const alive = (resource: string, namespace: string, name: string, uid: string): boolean => {
    const of = { group: '', resource };
    const metadata = cache.resource(resourcePrefix(of)).get(objectKey(of, namespace, name))?.object.metadata;
    return metadata?.uid === uid;
  };
  return ({ namespace, serviceAccount, serviceAccountUid, pod, secret }) =>
    alive('serviceaccounts', namespace, serviceAccount, serviceAccountUid) &&
    (!pod || alive('pods', namespace, pod.name, pod.uid)) &&
    (!secret || alive('secrets', namespace, secret.name, secret.uid));
}
