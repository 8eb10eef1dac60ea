/**
 * Role-based access control over the cached roles and bindings (Kubernetes: plugin/pkg/auth/authorizer/rbac).
 * Bindings are indexed by subject; the index is made anew when a role or binding has changed.
 */
import { labelSelectorFromObject, type LabelSelectorObject } from '../objects/index.js';
import type {
  ClusterRole,
  ClusterRoleBinding,
  PolicyRule,
  Role,
  RoleBinding,
} from '../objects/types/rbac.js';
import {
  type Attributes,
  type Authorizer,
  type Decision,
  mastersGroup,
  type PathRule,
  type ResourceRule,
} from './authorizer.js';
import type { Identity } from './request.js';
import { resourcePrefix } from './storage.js';
import type { WatchCache } from './watch-cache.js';

const group = 'rbac.authorization.k8s.io';
const resources = ['clusterroles', 'clusterrolebindings', 'roles', 'rolebindings'] as const;

interface Grant {
  /** '' for the whole cluster. */
  readonly namespace: string;
  readonly rules: readonly PolicyRule[];
  /** What the reason names: `ClusterRoleBinding "x" of ClusterRole "y"`. */
  readonly through: string;
}

type Index = ReadonlyMap<string, readonly Grant[]>;

export class RbacAuthorizer implements Authorizer {
  readonly #cache: WatchCache;
  #index: Index = new Map();
  #indexedAt = '';

  constructor(cache: WatchCache) {
    this.#cache = cache;
  }

  authorize(identity: Identity, attributes: Attributes): Decision {
    if (identity.groups.includes(mastersGroup)) return { allowed: true, reason: '' };
    const namespace = attributes.type === 'resource' ? attributes.namespace : '';
    for (const grant of this.#grantsOf(identity)) {
      if (grant.namespace !== '' && grant.namespace !== namespace) continue;
      if (grant.rules.some((rule) => ruleAllows(rule, attributes, grant.namespace !== ''))) {
        return { allowed: true, reason: `RBAC: allowed by ${grant.through}` };
      }
    }
    return { allowed: false, reason: '' };
  }

  rulesFor(identity: Identity, namespace: string): ReturnType<Authorizer['rulesFor']> {
    const resourceRules: ResourceRule[] = [];
    const nonResourceRules: PathRule[] = [];
    if (identity.groups.includes(mastersGroup)) {
      resourceRules.push({ verbs: ['*'], apiGroups: ['*'], resources: ['*'] });
      nonResourceRules.push({ verbs: ['*'], nonResourceURLs: ['*'] });
    }
    for (const grant of this.#grantsOf(identity)) {
      if (grant.namespace !== '' && grant.namespace !== namespace) continue;
      for (const rule of grant.rules) {
        if (rule.resources?.length) {
          resourceRules.push({
            verbs: rule.verbs,
            apiGroups: rule.apiGroups ?? [],
            resources: rule.resources,
            ...(rule.resourceNames?.length && { resourceNames: rule.resourceNames }),
          });
        }
        if (rule.nonResourceURLs?.length && grant.namespace === '') {
          nonResourceRules.push({ verbs: rule.verbs, nonResourceURLs: rule.nonResourceURLs });
        }
      }
    }
    return { resourceRules, nonResourceRules };
  }

  *#grantsOf(identity: Identity): Iterable<Grant> {
    const index = this.#current();
    yield* index.get(`User ${identity.username}`) ?? [];
    for (const name of identity.groups) yield* index.get(`Group ${name}`) ?? [];
  }

  #current(): Index {
    const caches = resources.map((resource) => this.#cache.resource(resourcePrefix({ group, resource })));
    const at = caches.map((cache) => cache.changedAt).join('/');
    if (at === this.#indexedAt) return this.#index;
    const [clusterRoles, clusterBindings, roles, bindings] = caches.map((cache) =>
      cache.range(cache.prefix).map((entry) => entry.object),
    ) as [ClusterRole[], ClusterRoleBinding[], Role[], RoleBinding[]];
    this.#index = buildIndex(clusterRoles, clusterBindings, roles, bindings);
    this.#indexedAt = at;
    return this.#index;
  }
}

function buildIndex(
  clusterRoles: readonly ClusterRole[],
  clusterBindings: readonly ClusterRoleBinding[],
  roles: readonly Role[],
  bindings: readonly RoleBinding[],
): Index {
  const clusterRules = new Map<string, readonly PolicyRule[]>();
  for (const role of clusterRoles) clusterRules.set(role.metadata?.name ?? '', rulesOf(role, clusterRoles));
  const roleRules = new Map<string, readonly PolicyRule[]>();
  for (const role of roles) {
    roleRules.set(`${role.metadata?.namespace}/${role.metadata?.name}`, role.rules ?? []);
  }
  const index = new Map<string, Grant[]>();
  const add = (binding: ClusterRoleBinding | RoleBinding, namespace: string) => {
    const { kind, name } = binding.roleRef;
    const rules = kind === 'ClusterRole' ? clusterRules.get(name) : roleRules.get(`${namespace}/${name}`);
    if (!rules) return;
    const bindingKind = namespace === '' ? 'ClusterRoleBinding' : 'RoleBinding';
    const bindingName = namespace === '' ? binding.metadata?.name : `${binding.metadata?.name}/${namespace}`;
    for (const subject of binding.subjects ?? []) {
      const key =
        subject.kind === 'ServiceAccount'
          ? `User system:serviceaccount:${subject.namespace ?? namespace}:${subject.name}`
          : `${subject.kind} ${subject.name}`;
      const grant: Grant = {
        namespace,
        rules,
        through: `${bindingKind} "${bindingName}" of ${kind} "${name}" to ${subject.kind} "${subject.name}"`,
      };
      const grants = index.get(key);
      if (grants) grants.push(grant);
      else index.set(key, [grant]);
    }
  };
  for (const binding of clusterBindings) add(binding, '');
  for (const binding of bindings) add(binding, binding.metadata?.namespace ?? '');
  return index;
}

/** Its own rules and those of the roles that its aggregationRule selects. */
export function rulesOf(role: ClusterRole, all: readonly ClusterRole[]): readonly PolicyRule[] {
  const selectors = role.aggregationRule?.clusterRoleSelectors;
  if (!selectors) return role.rules ?? [];
  const rules = [...(role.rules ?? [])];
  for (const selector of selectors) {
    const parsed = labelSelectorFromObject(selector as LabelSelectorObject);
    for (const other of all) {
      if (other !== role && parsed.matches(other.metadata?.labels)) rules.push(...(other.rules ?? []));
    }
  }
  return rules;
}

/** Kubernetes: RuleAllows. */
function ruleAllows(rule: PolicyRule, attributes: Attributes, namespaced: boolean): boolean {
  if (!includes(rule.verbs, attributes.verb)) return false;
  if (attributes.type === 'path') {
    if (namespaced) return false;
    return (rule.nonResourceURLs ?? []).some((pattern) =>
      pattern === '*' || pattern.endsWith('*')
        ? attributes.path.startsWith(pattern.slice(0, -1))
        : pattern === attributes.path,
    );
  }
  if (!includes(rule.apiGroups, attributes.group)) return false;
  const { resource, subresource, name } = attributes;
  const combined = subresource === '' ? resource : `${resource}/${subresource}`;
  const matches = (rule.resources ?? []).some(
    (each) => each === '*' || each === combined || (subresource !== '' && each === `*/${subresource}`),
  );
  if (!matches) return false;
  const names = rule.resourceNames ?? [];
  return names.length === 0 || names.includes(name);
}

function includes(list: readonly string[] | undefined, value: string): boolean {
  return list !== undefined && (list.includes('*') || list.includes(value));
}
