/**
 * Nobody grants what he has not got (Kubernetes: registry/rbac, policybased storage): who writes a role must hold its
 * rules, or the verb `escalate`; who writes a binding must hold the rules of its role, or the verb `bind`.
 */
import type { KubeObject } from '../objects/meta.js';
import type { ClusterRole, PolicyRule, Role, RoleBinding } from '../objects/types/rbac.js';
import { mastersGroup, type PathRule, type ResourceRule } from './authorizer.js';
import { rulesOf } from './rbac.js';
import type { RequestContext } from './server-context.js';
import { forbidden, notFound } from './status.js';
import { objectKey, resourcePrefix } from './storage.js';

const group = 'rbac.authorization.k8s.io';
const everything: PolicyRule[] = [
  { apiGroups: ['*'], resources: ['*'], verbs: ['*'] },
  { nonResourceURLs: ['*'], verbs: ['*'] },
];

/** Throws 403 when the object would give its writer more than he has. */
export async function refuseEscalation(context: RequestContext, object: KubeObject): Promise<void> {
  const { resource, identity } = context;
  if (resource.group !== group || identity.groups.includes(mastersGroup)) return;
  // Both refusals and grants stand only on the newest rules.
  await context.server.cache.fresh();
  switch (resource.resource) {
    case 'clusterroles':
    case 'roles':
      return mayWrite(context, object as ClusterRole);
    case 'clusterrolebindings':
    case 'rolebindings':
      return mayBind(context, object as RoleBinding);
    default:
  }
}

function mayWrite(context: RequestContext, role: ClusterRole | Role): void {
  const { resource } = context;
  const name = role.metadata?.name ?? '';
  if (isGranted(context, 'escalate', resource.resource, name)) return;
  const aggregates = (role as ClusterRole).aggregationRule !== undefined;
  mustHold(context, name, aggregates ? everything : (role.rules ?? []));
}

function mayBind(context: RequestContext, binding: RoleBinding): void {
  const { kind, name } = binding.roleRef;
  const resource = kind === 'ClusterRole' ? 'clusterroles' : 'roles';
  if (isGranted(context, 'bind', resource, name)) return;
  const namespace = kind === 'ClusterRole' ? '' : context.info.namespace;
  const of = { group, resource };
  const cache = context.server.cache.resource(resourcePrefix(of));
  const role = cache.get(objectKey(of, namespace, name))?.object as ClusterRole | undefined;
  if (!role) throw notFound(of, name);
  const all = namespace === '' ? cache.range(cache.prefix).map((entry) => entry.object as ClusterRole) : [];
  mustHold(context, binding.metadata?.name ?? '', rulesOf(role, all));
}

function isGranted(context: RequestContext, verb: string, resource: string, name: string): boolean {
  const { server, identity, info } = context;
  const { namespace, version } = info;
  const attributes = {
    type: 'resource',
    verb,
    group,
    version,
    resource,
    subresource: '',
    namespace,
    name,
  } as const;
  return server.authorizer.authorize(identity, attributes).allowed;
}

function mustHold(context: RequestContext, name: string, wanted: readonly PolicyRule[]): void {
  const { server, identity, info, resource } = context;
  const held = server.authorizer.rulesFor(identity, info.namespace);
  const missing = wanted.filter((rule) => !covers(held, rule));
  if (missing.length === 0) return;
  throw forbidden(
    resource,
    name,
    `user ${JSON.stringify(identity.username)} (groups=${quoted(identity.groups)}) ` +
      `is attempting to grant RBAC permissions not currently held:\n${missing.map(printRule).join('\n')}`,
  );
}

interface Held {
  readonly resourceRules: readonly ResourceRule[];
  readonly nonResourceRules: readonly PathRule[];
}

/** Each of its parts is in some rule that is held. */
function covers({ resourceRules, nonResourceRules }: Held, rule: PolicyRule): boolean {
  const verbs = rule.verbs ?? [];
  const names = rule.resourceNames?.length ? rule.resourceNames : [undefined];
  const paths = (rule.nonResourceURLs ?? []).every((url) =>
    verbs.every((verb) => nonResourceRules.some((held) => has(held.verbs, verb) && coversUrl(held, url))),
  );
  if (!paths) return false;
  return (rule.apiGroups ?? []).every((apiGroup) =>
    (rule.resources ?? []).every((resource) =>
      verbs.every((verb) =>
        names.every((name) =>
          resourceRules.some(
            (held) =>
              has(held.verbs, verb) &&
              has(held.apiGroups, apiGroup) &&
              coversResource(held, resource) &&
              (!held.resourceNames?.length || (name !== undefined && held.resourceNames.includes(name))),
          ),
        ),
      ),
    ),
  );
}

function has(list: readonly string[] | undefined, value: string): boolean {
  return list?.includes('*') === true || list?.includes(value) === true;
}

function coversResource({ resources }: ResourceRule, resource: string): boolean {
  if (has(resources, resource)) return true;
  const slash = resource.indexOf('/');
  return slash !== -1 && resources?.includes(`*${resource.slice(slash)}`) === true;
}

function coversUrl({ nonResourceURLs = [] }: PathRule, url: string): boolean {
  return nonResourceURLs.some(
    (held) => held === url || (held.endsWith('*') && url.startsWith(held.slice(0, -1))),
  );
}

function printRule(rule: PolicyRule): string {
  const parts = [
    ['APIGroups', rule.apiGroups],
    ['Resources', rule.resources],
    ['NonResourceURLs', rule.nonResourceURLs],
    ['ResourceNames', rule.resourceNames],
    ['Verbs', rule.verbs],
  ] as const;
  const shown = parts.flatMap(([name, list]) => (list?.length ? [`${name}:${quoted(list)}`] : []));
  return `{${shown.join(', ')}}`;
}

/** As Go prints a list of strings with %q. */
function quoted(list: readonly string[]): string {
  return `[${list.map((each) => JSON.stringify(each)).join(' ')}]`;
}
