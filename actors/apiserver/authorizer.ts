/** May this user do this? The question and its answers; `rbac.ts` knows the rules. */
import type { Identity } from './request.js';
import type { RequestInfo } from './request-info.js';

export type Attributes =
  | {
      readonly type: 'resource';
      readonly verb: string;
      readonly group: string;
      readonly version: string;
      readonly resource: string;
      readonly subresource: string;
      readonly namespace: string;
      readonly name: string;
    }
  | { readonly type: 'path'; readonly verb: string; readonly path: string };

export interface Decision {
  readonly allowed: boolean;
  readonly reason: string;
}

export interface ResourceRule {
  readonly verbs: readonly string[];
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
}

export interface PathRule {
  readonly verbs: readonly string[];
  readonly nonResourceURLs?: readonly string[];
}

export interface Authorizer {
  authorize(identity: Identity, attributes: Attributes): Decision;
  /** What the user may do in a namespace (SelfSubjectRulesReview). */
  rulesFor(
    identity: Identity,
    namespace: string,
  ): { readonly resourceRules: readonly ResourceRule[]; readonly nonResourceRules: readonly PathRule[] };
}

export const mastersGroup = 'system:masters';

/** For clusters without rules: everybody may do everything. */
export const allowAll: Authorizer = {
  authorize: () => ({ allowed: true, reason: '' }),
  rulesFor: () => ({
    resourceRules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }],
    nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
  }),
};

export function attributesOf(info: RequestInfo): Attributes {
  if (info.type === 'path') return { type: 'path', verb: info.verb, path: info.path };
  const { verb, group, version, resource, subresource, namespace, name } = info;
  return { type: 'resource', verb, group, version, resource, subresource, namespace, name };
}

/** `User "x" cannot list resource "pods" in API group "" in the namespace "default"` (apiserver, responsewriters). */
export function refusalText(identity: Identity, attributes: Attributes, reason: string): string {
  const user = `User ${JSON.stringify(identity.username)}`;
  const why = reason === '' ? '' : `: ${reason}`;
  if (attributes.type === 'path') {
    return `${user} cannot ${attributes.verb} path ${JSON.stringify(attributes.path)}${why}`;
  }
  const { verb, group, namespace } = attributes;
  const resource = attributes.subresource
    ? `${attributes.resource}/${attributes.subresource}`
    : attributes.resource;
  const where = namespace ? `in the namespace ${JSON.stringify(namespace)}` : 'at the cluster scope';
  return `${user} cannot ${verb} resource "${resource}" in API group "${group}" ${where}${why}`;
}
