/**
 * Every resource that the apiserver serves: names, verbs, subresources, versions, and which version is
 * stored. The built-in ones come from the paths of the schema table; custom resources are added with
 * `withResources`. A registry never changes, so what is derived from one can be cached against it.
 */
import { categories, groupOrder, shortNames } from './resource-names.js';
import type { Definition } from './schema-table.js';
import { schemaTable } from './schema-table.js';
import { compareText } from './text-order.js';

export interface GroupVersion {
  readonly group: string;
  readonly version: string;
}

export interface SubresourceInfo {
  /** `status`, `scale`, `log` ... */
  readonly name: string;
  /** Group, version and kind of what it takes and gives: `autoscaling/v1 Scale` for `deployments/scale`. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly verbs: readonly string[];
  /** The definition of that kind; undefined for options that have no JSON form (`PodExecOptions`). */
  readonly definition: Definition | undefined;
  /** Answers a connection (exec, proxy ...) instead of an object. */
  readonly connects: boolean;
}

export interface ResourceInfo {
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  readonly kind: string;
  readonly listKind: string;
  readonly singularName: string;
  readonly namespaced: boolean;
  /** Sorted. */
  readonly verbs: readonly string[];
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly subresources: ReadonlyMap<string, SubresourceInfo>;
  /** Undefined for custom resources. */
  readonly definition: Definition | undefined;
  /** What a stored object says it is: one form per kind, whichever versions are served. */
  readonly storage: GroupVersion & { readonly resource: string };
}

export type Stability = 'ga' | 'beta' | 'alpha';

export class Registry {
  readonly resources: readonly ResourceInfo[];
  readonly #byResource = new Map<string, ResourceInfo>();
  readonly #byKind = new Map<string, ResourceInfo[]>();

  constructor(resources: readonly ResourceInfo[]) {
    this.resources = resources;
    for (const info of resources) {
      this.#byResource.set(`${info.group}/${info.version}/${info.resource}`, info);
      const key = `${info.group}/${info.kind}`;
      const versions = this.#byKind.get(key);
      if (versions) versions.push(info);
      else this.#byKind.set(key, [info]);
    }
    for (const versions of this.#byKind.values()) {
      versions.sort((a, b) => compareVersions(a.version, b.version));
    }
  }

  find(group: string, version: string, resource: string): ResourceInfo | undefined {
    return this.#byResource.get(`${group}/${version}/${resource}`);
  }

  /** Every served version of a kind, the preferred one first; empty when the kind is unknown. */
  findKind(group: string, kind: string): readonly ResourceInfo[] {
    return this.#byKind.get(`${group}/${kind}`) ?? [];
  }

  findGvk(group: string, version: string, kind: string): ResourceInfo | undefined {
    return this.findKind(group, kind).find((info) => info.version === version);
  }

  /** Groups, most preferred first; the core is ''. */
  groups(): string[] {
    const groups = [...new Set(this.resources.map((info) => info.group))];
    const rank = (group: string) => {
      const index = groupOrder.indexOf(group);
      return index === -1 ? groupOrder.length : index;
    };
    return groups.sort((a, b) => rank(a) - rank(b) || compareText(a, b));
  }

  /** Versions of a group, most preferred first. */
  versions(group: string): string[] {
    const versions = this.resources.filter((info) => info.group === group).map((info) => info.version);
    return [...new Set(versions)].sort(compareVersions);
  }

  /** Resources of one group version, by name. */
  inGroupVersion(group: string, version: string): ResourceInfo[] {
    return this.resources
      .filter((info) => info.group === group && info.version === version)
      .sort((a, b) => compareText(a.resource, b.resource));
  }

  /** A new registry with these added, in place of any of the same group, version and resource. */
  withResources(added: readonly ResourceInfo[]): Registry {
    const keys = new Set(added.map((info) => `${info.group}/${info.version}/${info.resource}`));
    const kept = this.resources.filter((info) => !keys.has(`${info.group}/${info.version}/${info.resource}`));
    return new Registry([...kept, ...added]);
  }

  /** A new registry without what `serve` refuses. */
  filter(serve: (info: ResourceInfo) => boolean): Registry {
    return new Registry(this.resources.filter(serve));
  }
}

let all: Registry | undefined;
let served: Registry | undefined;

/** All built-in resources, alpha and beta ones too. */
export function allResources(): Registry {
  all ??= new Registry(builtinResources());
  return all;
}

/** What a default apiserver serves: generally available versions only (beta and alpha are off since 1.24). */
export function builtinRegistry(): Registry {
  served ??= allResources().filter((info) => stabilityOf(info.version) === 'ga');
  return served;
}

function stabilityOf(version: string): Stability {
  if (version.includes('alpha')) return 'alpha';
  return version.includes('beta') ? 'beta' : 'ga';
}

/** `apps/v1`, and `v1` for the core. */
export function apiVersionOf(gv: GroupVersion): string {
  return gv.group === '' ? gv.version : `${gv.group}/${gv.version}`;
}

/** Undefined unless it is `version` or `group/version`. */
export function parseApiVersion(apiVersion: string): GroupVersion | undefined {
  const parts = apiVersion.split('/');
  if (parts.some((part) => part === '') || parts.length > 2) return undefined;
  return parts.length === 1 ? { group: '', version: parts[0]! } : { group: parts[0]!, version: parts[1]! };
}

/** Kubernetes' order: GA before beta before alpha, higher numbers first, names that are no versions last. */
export function compareVersions(a: string, b: string): number {
  const left = rankVersion(a);
  const right = rankVersion(b);
  for (let index = 0; index < 3; index++) {
    if (left[index] !== right[index]) return right[index]! - left[index]!;
  }
  return compareText(a, b);
}

function rankVersion(version: string): [number, number, number] {
  const match = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version);
  if (!match) return [0, 0, 0];
  const stability = match[2] === undefined ? 3 : match[2] === 'beta' ? 2 : 1;
  return [stability, Number(match[1]), Number(match[3] ?? 0)];
}

const verbByAction: Readonly<Record<string, string>> = {
  post: 'create',
  put: 'update',
  get: 'get',
  list: 'list',
  patch: 'patch',
  delete: 'delete',
  deletecollection: 'deletecollection',
};
const verbByMethod: Readonly<Record<string, string>> = {
  get: 'get',
  post: 'create',
  put: 'update',
  patch: 'patch',
  delete: 'delete',
};

/** Where objects of a kind that several groups serve are kept: events live in the core, as in Kubernetes. */
const storedElsewhere: Readonly<Record<string, GroupVersion>> = {
  'events.k8s.io/events': { group: '', version: 'v1' },
};

interface Draft {
  group: string;
  version: string;
  resource: string;
  kind: string;
  namespaced: boolean;
  verbs: Set<string>;
  subresources: Map<
    string,
    { gvk: { group: string; version: string; kind: string }; verbs: Set<string>; connects: boolean }
  >;
}

/** Group, version, watch, namespace, resource, subresource. */
const pathPattern = new RegExp(
  String.raw`^/(?:api|apis/([^/]+))/([^/]+)/(watch/)?(?:(namespaces/\{namespace\})/)?` +
    String.raw`([a-z]+)(?:/\{name\}(?:/([a-z]+))?)?(?:/\{path\})?$`,
);

function builtinResources(): ResourceInfo[] {
  const drafts = new Map<string, Draft>();
  for (const operation of schemaTable().operations) {
    const match = pathPattern.exec(operation.path);
    if (!match) continue;
    const [, group = '', version, watch, namespace, resource, subresource] = match;
    const key = `${group}/${version!}/${resource!}`;
    let draft = drafts.get(key);
    if (!draft) {
      draft = {
        group,
        version: version!,
        resource: resource!,
        kind: '',
        namespaced: false,
        verbs: new Set(),
        subresources: new Map(),
      };
      drafts.set(key, draft);
    }
    if (namespace !== undefined) draft.namespaced = true;
    if (watch !== undefined) draft.verbs.add('watch');
    else if (subresource === undefined) {
      draft.kind = operation.gvk.kind;
      draft.verbs.add(verbByAction[operation.action]!);
    } else addSubresource(draft, subresource, operation);
  }
  const storage = storageVersions([...drafts.values()]);
  return [...drafts.values()].map((draft) => finish(draft, storage));
}

function addSubresource(
  draft: Draft,
  name: string,
  operation: { method: string; action: string; gvk: { group: string; version: string; kind: string } },
): void {
  let subresource = draft.subresources.get(name);
  if (!subresource) {
    subresource = { gvk: operation.gvk, verbs: new Set(), connects: operation.action === 'connect' };
    draft.subresources.set(name, subresource);
  }
  const verb =
    operation.action === 'connect' ? verbByMethod[operation.method] : verbByAction[operation.action];
  if (verb !== undefined) subresource.verbs.add(verb);
}

function storageVersions(drafts: readonly Draft[]): Map<string, GroupVersion> {
  const storage = new Map<string, GroupVersion>();
  for (const { group, version, resource } of drafts) {
    const key = `${group}/${resource}`;
    const best = storage.get(key);
    if (!best || compareVersions(version, best.version) < 0) storage.set(key, { group, version });
  }
  for (const [key, where] of Object.entries(storedElsewhere)) storage.set(key, where);
  return storage;
}

function finish(draft: Draft, storage: ReadonlyMap<string, GroupVersion>): ResourceInfo {
  const { group, version, resource, kind } = draft;
  const qualified = group === '' ? resource : `${resource}.${group}`;
  const table = schemaTable();
  const subresources = [...draft.subresources].sort(([a], [b]) => compareText(a, b));
  return {
    group,
    version,
    resource,
    kind,
    listKind: `${kind}List`,
    singularName: kind.toLowerCase(),
    namespaced: draft.namespaced,
    verbs: [...draft.verbs].sort(compareText),
    shortNames: shortNames[qualified] ?? [],
    categories: categories[qualified] ?? [],
    definition: table.byGvk(group, version, kind),
    storage: { ...storage.get(`${group}/${resource}`)!, resource },
    subresources: new Map(
      subresources.map(([name, { gvk, verbs, connects }]) => [
        name,
        {
          name,
          ...gvk,
          verbs: [...verbs].sort(compareText),
          definition: table.byGvk(gvk.group, gvk.version, gvk.kind),
          connects,
        },
      ]),
    ),
  };
}
