/**
 * OpenAPI v3 as kubectl and helm read it: `/openapi/v3` lists a document per group version, each with the
 * operations (kinds, actions, the `fieldValidation` parameter) and the schemas (types, patch and list marks)
 * that apply, explain, diff and edit work from. Documents are made when first asked for and kept as bytes.
 */
import { createHash } from 'node:crypto';
import { operationsOf } from './openapi-paths.js';
import { collectSchemas } from './openapi-schemas.js';
import type { GroupVersion, Registry } from './registry.js';
import { apiVersionOf } from './registry.js';
import type { JsonObject } from './typed.js';

export const kubernetesVersion = 'v1.36.0';

export interface OpenApiDocument {
  readonly bytes: Buffer;
  /** What `?hash=` carries, and the ETag. */
  readonly hash: string;
}

/** One registry's documents. */
export class OpenApi {
  readonly #registry: Registry;
  readonly #documents = new Map<string, OpenApiDocument>();
  #root: OpenApiDocument | undefined;

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  /** `GET /openapi/v3`. Makes every document, once: their hashes are in it. */
  root(): OpenApiDocument {
    if (this.#root) return this.#root;
    const paths: JsonObject = {};
    for (const group of this.#registry.groups()) {
      for (const version of this.#registry.versions(group)) {
        const path = pathOf({ group, version });
        const { hash } = this.document(group, version)!;
        paths[path] = { serverRelativeURL: `/openapi/v3/${path}?hash=${hash}` };
      }
    }
    this.#root = toDocument({ paths });
    return this.#root;
  }

  /** `GET /openapi/v3/api/v1`, `/openapi/v3/apis/apps/v1`; undefined when that version is not served. */
  document(group: string, version: string): OpenApiDocument | undefined {
    const key = `${group}/${version}`;
    const known = this.#documents.get(key);
    if (known) return known;
    const resources = this.#registry.inGroupVersion(group, version);
    if (resources.length === 0) return undefined;
    const document = toDocument({
      openapi: '3.0.0',
      info: { title: 'Kubernetes', version: kubernetesVersion },
      paths: operationsOf(resources),
      components: { schemas: collectSchemas(resources) },
    });
    this.#documents.set(key, document);
    return document;
  }
}

function pathOf(gv: GroupVersion): string {
  return gv.group === '' ? `api/${gv.version}` : `apis/${apiVersionOf(gv)}`;
}

function toDocument(value: JsonObject): OpenApiDocument {
  const bytes = Buffer.from(JSON.stringify(value), 'utf8');
  return { bytes, hash: createHash('sha512').update(bytes).digest('hex').toUpperCase() };
}
