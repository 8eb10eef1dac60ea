/**
 * Objects as bytes (ARCHITECTURE rule 13). What the store holds is JSON that opens with `{"metadata":{` and has no kind, no
 * apiVersion and no resourceVersion; what clients get is those bytes with the missing parts spliced in front. An
 * object is printed once, at its write, and never again.
 */
import { Buffer } from 'node:buffer';
import type { KubeObject } from '../objects/meta.js';

const opening = '{"metadata":{';
const openingBytes = Buffer.byteLength(opening);

/** The stored form. Drops kind, apiVersion and resourceVersion; metadata comes first and begins with the name. */
export function encodeStored(object: KubeObject): Buffer {
  const { kind: _kind, apiVersion: _apiVersion, metadata = {}, ...rest } = object;
  const { resourceVersion: _revision, name, namespace, ...meta } = metadata;
  if (!name) throw new TypeError(`object without a name cannot be stored: ${JSON.stringify(metadata)}`);
  return Buffer.from(
    JSON.stringify({ metadata: { name, ...(namespace && { namespace }), ...meta }, ...rest }),
  );
}

/** A fresh object, free to be changed, with resourceVersion and, when given, kind and apiVersion. */
export function decodeStored<T extends KubeObject = KubeObject>(
  bytes: Uint8Array,
  revision: number,
  type?: { readonly apiVersion: string; readonly kind: string },
): T {
  const object = JSON.parse(textOf(bytes)) as KubeObject;
  object.metadata = { ...object.metadata, ...(revision > 0 && { resourceVersion: String(revision) }) };
  if (type === undefined) return object as T;
  return { kind: type.kind, apiVersion: type.apiVersion, ...object } as T;
}

/** `{"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":"`: what goes before the revision of one object. */
export function singlePrefix(apiVersion: string, kind: string): string {
  return `{"kind":${JSON.stringify(kind)},"apiVersion":${JSON.stringify(apiVersion)},"metadata":{"resourceVersion":"`;
}

const itemPrefix = '{"metadata":{"resourceVersion":"';

/** The object as a response of its own. Revision 0, of a create that was a dry run, is not shown. */
export function spliceSingle(prefix: string, bytes: Uint8Array, revision: number): Buffer {
  if (revision === 0) {
    const type = prefix.slice(1, prefix.length - itemPrefix.length + 1);
    return Buffer.concat([Buffer.from(`{${type}`), bytes.subarray(1)]);
  }
  return Buffer.concat([Buffer.from(`${prefix}${revision}",`), bytes.subarray(openingBytes)]);
}

export interface ListHead {
  readonly apiVersion: string;
  readonly kind: string;
  readonly resourceVersion: string;
  readonly continue?: string;
  readonly remainingItemCount?: number;
}

/** A typed list: its items carry neither kind nor apiVersion. */
export function spliceList(
  head: ListHead,
  items: Iterable<{ readonly bytes: Uint8Array; readonly revision: number }>,
): Buffer {
  const { apiVersion, kind, ...metadata } = head;
  const parts: Uint8Array[] = [
    Buffer.from(
      `{"kind":${JSON.stringify(kind)},"apiVersion":${JSON.stringify(apiVersion)},` +
        `"metadata":${JSON.stringify(metadata)},"items":[`,
    ),
  ];
  let separator = '';
  for (const { bytes, revision } of items) {
    parts.push(Buffer.from(`${separator}${itemPrefix}${revision}",`), bytes.subarray(openingBytes));
    separator = ',';
  }
  parts.push(Buffer.from(']}'));
  return Buffer.concat(parts);
}

/** One line of a watch stream around an object that is already encoded. */
export function spliceEvent(type: string, object: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`{"type":"${type}","object":`), object, Buffer.from('}\n')]);
}

export function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}

export function jsonBytes(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
