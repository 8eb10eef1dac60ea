/** `serviceaccounts/token`: TokenRequest (KEP-1205). */
import type { TokenRequest } from '../../objects/types/authentication.js';
import type { KubeObject } from '../../objects/meta.js';
import type { Pod, ServiceAccount } from '../../objects/types/core.js';
import { limits } from '../limits.js';
import type { ApiResponse } from '../request.js';
import { jsonResponse } from '../resource-view.js';
import { type RequestContext, timestamp } from '../server-context.js';
import { conflict, invalid, notFound, notImplemented } from '../status.js';
import { objectKey, resourcePrefix } from '../storage.js';
import type { ServiceAccountClaims } from '../tokens.js';
import { readBody } from '../verbs/body.js';

export async function requestToken(context: RequestContext): Promise<ApiResponse> {
  const { server, info, resource } = context;
  if (!server.tokens) throw notImplemented('TokenRequest without a signing key');
  const request = readBody<TokenRequest>(context, resource.subresources.get('token')!);
  await server.cache.fresh();
  const account = find<ServiceAccount>(context, 'serviceaccounts', info.namespace, info.name);
  if (!account) throw notFound(resource, info.name);
  const seconds = request.spec?.expirationSeconds ?? limits.tokenDefaultSeconds;
  if (seconds < limits.tokenMinSeconds || seconds > limits.tokenMaxSeconds) {
    throw invalid({ group: 'authentication.k8s.io', kind: 'TokenRequest' }, '', [
      {
        reason: 'FieldValueInvalid',
        field: 'spec.expirationSeconds',
        message: `Invalid value: ${seconds}: may not specify a duration less than 10 minutes`,
      },
    ]);
  }
  const asked = request.spec?.audiences ?? [];
  const audiences = asked.length > 0 ? asked : server.tokens.audiences;
  const issuedAt = Math.floor(server.system.env.clock.nowMs() / 1_000);
  const expiresAt = issuedAt + seconds;
  const token = await server.tokens.sign({
    namespace: info.namespace,
    serviceAccount: info.name,
    serviceAccountUid: account.metadata!.uid!,
    audiences,
    issuedAt,
    expiresAt,
    id: server.system.env.uuid(),
    ...boundTo(context, request),
  });
  return jsonResponse(201, {
    kind: 'TokenRequest',
    apiVersion: 'authentication.k8s.io/v1',
    metadata: { name: info.name, namespace: info.namespace, creationTimestamp: timestamp(issuedAt * 1_000) },
    spec: {
      audiences,
      expirationSeconds: seconds,
      ...(request.spec?.boundObjectRef && { boundObjectRef: request.spec.boundObjectRef }),
    },
    status: { token, expirationTimestamp: timestamp(expiresAt * 1_000) },
  });
}

/** The object whose end ends the token. */
function boundTo(context: RequestContext, { spec }: TokenRequest): Partial<ServiceAccountClaims> {
  const ref = spec?.boundObjectRef;
  if (!ref) return {};
  const { namespace } = context.info;
  const check = <T extends KubeObject>(resource: string): T => {
    const object = find<T>(context, resource, resource === 'nodes' ? '' : namespace, ref.name ?? '');
    if (!object) throw notFound({ group: '', resource }, ref.name ?? '');
    if (ref.uid && ref.uid !== object.metadata?.uid) {
      throw conflict(
        { group: '', resource },
        ref.name ?? '',
        `the UID in the bound object reference (${ref.uid}) does not match the UID in record. ` +
          'The object might have been deleted and then recreated',
      );
    }
    return object;
  };
  const named = (object: KubeObject) => ({ name: object.metadata!.name!, uid: object.metadata!.uid! });
  switch (ref.kind) {
    case 'Pod': {
      const pod = check<Pod>('pods');
      const node = pod.spec?.nodeName && find<KubeObject>(context, 'nodes', '', pod.spec.nodeName);
      return { pod: named(pod), ...(node && { node: named(node) }) };
    }
    case 'Secret':
      return { secret: named(check<KubeObject>('secrets')) };
    case 'Node':
      return { node: named(check<KubeObject>('nodes')) };
    default:
      throw invalid({ group: 'authentication.k8s.io', kind: 'TokenRequest' }, '', [
        {
          reason: 'FieldValueNotSupported',
          field: 'spec.boundObjectRef.kind',
          message: `Unsupported value: ${JSON.stringify(ref.kind)}: supported values: "Node", "Pod", "Secret"`,
        },
      ]);
  }
}

function find<T extends KubeObject>(
  { server }: RequestContext,
  resource: string,
  namespace: string,
  name: string,
): T | undefined {
  const of = { group: '', resource };
  return server.cache.resource(resourcePrefix(of)).get(objectKey(of, namespace, name))?.object as
    T | undefined;
}
