/**
 * How stored objects of one resource are shown in the version and form that a client asked for. The usual form costs
 * a splice; versions other than the stored one, tables and bare metadata are made from the parsed object.
 */
import { apiVersionOf, type ResourceInfo } from '../objects/index.js';
import type { KubeObject } from '../objects/meta.js';
import { convertFromStored, isStoredVersion, tableOf } from './machinery.js';
import { acceptedTypes, contentTypeOf, type Form, toYaml } from './negotiation.js';
import {
  encodeStored,
  jsonBytes,
  type ListHead,
  singlePrefix,
  spliceList,
  spliceSingle,
  textOf,
} from './object-bytes.js';
import type { ApiResponse } from './request.js';
import type { CacheEntry } from './resource-cache.js';
import { notAcceptable } from './status.js';
import type { EventEncoder } from './watch-stream.js';

const metaVersion = 'meta.k8s.io/v1';

export class ResourceView {
  readonly info: ResourceInfo;
  readonly apiVersion: string;
  readonly #prefix: string;
  readonly #nowMs: () => number;

  constructor(info: ResourceInfo, nowMs: () => number) {
    this.info = info;
    this.apiVersion = apiVersionOf(info);
    this.#prefix = singlePrefix(this.apiVersion, info.kind);
    this.#nowMs = nowMs;
  }

  /** Shared, in this version, with kind and apiVersion: never change it. */
  object(entry: CacheEntry): KubeObject {
    const stored = entry.object;
    const shown = convertFromStored(this.info, stored);
    return { kind: this.info.kind, apiVersion: this.apiVersion, ...shown };
  }

  /** The stored form of this version. */
  #bytes(entry: CacheEntry): Uint8Array {
    const shown = convertFromStored(this.info, entry.object);
    return shown === entry.object ? entry.bytes : encodeStored(shown);
  }

  #single(entry: CacheEntry): Uint8Array {
    if (!isStoredVersion(this.info)) return spliceSingle(this.#prefix, this.#bytes(entry), entry.revision);
    return spliceSingle(this.#prefix, entry.bytes, entry.revision);
  }

  respond(entry: CacheEntry, form: Form, status: number): ApiResponse {
    if (form.ofList) throw notAcceptable(acceptedTypes);
    return bytesResponse(status, this.#one(entry, form), form);
  }

  #one(entry: CacheEntry, form: Form): Uint8Array {
    switch (form.type) {
      case 'object':
        return this.#single(entry);
      case 'partial':
        return jsonBytes(partialOf(entry.object));
      case 'table':
        return jsonBytes(
          this.#table([entry], form, { resourceVersion: String(entry.revision) }, { columns: true }),
        );
      default:
        form.type satisfies never;
        throw new TypeError(`unknown form ${String(form.type)}`);
    }
  }

  respondList(
    entries: readonly CacheEntry[],
    head: Omit<ListHead, 'apiVersion' | 'kind'>,
    form: Form,
  ): ApiResponse {
    if (form.type === 'partial' && !form.ofList) throw notAcceptable(acceptedTypes);
    return bytesResponse(200, this.#list(entries, head, form), form);
  }

  #list(entries: readonly CacheEntry[], head: Omit<ListHead, 'apiVersion' | 'kind'>, form: Form): Uint8Array {
    switch (form.type) {
      case 'object': {
        const items = !isStoredVersion(this.info)
          ? entries.map((entry) => ({ bytes: this.#bytes(entry), revision: entry.revision }))
          : entries;
        return spliceList({ apiVersion: this.apiVersion, kind: this.info.listKind, ...head }, items);
      }
      case 'partial':
        return jsonBytes({
          kind: 'PartialObjectMetadataList',
          apiVersion: metaVersion,
          metadata: head,
          items: entries.map((entry) => partialOf(entry.object)),
        });
      case 'table':
        return jsonBytes(this.#table(entries, form, head, { columns: true }));
      default:
        form.type satisfies never;
        throw new TypeError(`unknown form ${String(form.type)}`);
    }
  }

  encoder(form: Form): EventEncoder {
    return {
      key: `${form.key} ${this.apiVersion}`,
      firstDiffers: form.type === 'table',
      object: (entry, first) => {
        if (form.type !== 'table') return this.#one(entry, form);
        return jsonBytes(
          this.#table([entry], form, { resourceVersion: String(entry.revision) }, { columns: first }),
        );
      },
      bookmark: (revision, annotations) => jsonBytes(this.#bookmark(revision, annotations, form)),
    };
  }

  #bookmark(
    revision: number,
    annotations: Readonly<Record<string, string>> | undefined,
    form: Form,
  ): unknown {
    const metadata = { resourceVersion: String(revision), ...(annotations && { annotations }) };
    switch (form.type) {
      case 'object':
        return { kind: this.info.kind, apiVersion: this.apiVersion, metadata };
      case 'partial':
        return { kind: 'PartialObjectMetadata', apiVersion: metaVersion, metadata };
      case 'table':
        return {
          kind: 'Table',
          apiVersion: metaVersion,
          metadata: { resourceVersion: String(revision) },
          columnDefinitions: null,
          rows: [
            {
              cells: [],
              object: { kind: 'PartialObjectMetadata', apiVersion: metaVersion, metadata },
            },
          ],
        };
      default:
        return form.type satisfies never;
    }
  }

  #table(
    entries: readonly CacheEntry[],
    form: Form,
    metadata: object,
    options: { readonly columns: boolean },
  ): unknown {
    return tableOf(
      this.info,
      entries.map((entry) => this.object(entry)),
      {
        includeObject: form.includeObject,
        nowMs: this.#nowMs(),
        metadata,
        withoutColumns: !options.columns,
      },
    );
  }
}

function partialOf(object: KubeObject): unknown {
  return { kind: 'PartialObjectMetadata', apiVersion: metaVersion, metadata: object.metadata };
}

export function bytesResponse(status: number, bytes: Uint8Array, form: Form): ApiResponse {
  return {
    status,
    headers: { 'content-type': contentTypeOf(form) },
    body: form.yaml ? Buffer.from(toYaml(textOf(bytes))) : bytes,
  };
}

export function jsonResponse(
  status: number,
  value: unknown,
  headers?: Readonly<Record<string, string>>,
): ApiResponse {
  return { status, headers: { 'content-type': 'application/json', ...headers }, body: jsonBytes(value) };
}
