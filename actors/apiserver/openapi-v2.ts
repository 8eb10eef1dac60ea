/**
 * OpenAPI v2, of which clients of today want one thing: kubectl falls back to it to check a `kind: List`, and asks for it
 * as protobuf only. The document names no definitions, so kubectl checks nothing and leaves that to the server, which
 * validates each item strictly anyway. The schemas are in /openapi/v3.
 */
import { kubernetesVersion } from '../objects/index.js';
import { parseAccept } from './negotiation.js';
import type { ApiRequest, ApiResponse } from './request.js';
import { notAcceptable } from './status.js';

/** What clients ask for; the `@` is no token of RFC 7231, so answers are named with a dot, as kube-apiserver's are. */
const askedType = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf';
const answeredType = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf';

export function answerOpenApiV2(request: ApiRequest): ApiResponse {
  const accepted = parseAccept(request.headers['accept'] || 'application/json').map(({ type }) => type);
  if (!accepted.some((type) => type === askedType || type === answeredType)) {
    throw notAcceptable([answeredType]);
  }
  return { status: 200, headers: { 'content-type': answeredType, vary: 'Accept' }, body: document() };
}

/** gnostic's openapi.v2.Document: swagger = 1, info = 2 {title = 1, version = 2}, paths = 8. */
function document(): Uint8Array {
  const info = Buffer.concat([field(1, Buffer.from('Kubernetes')), field(2, Buffer.from(kubernetesVersion))]);
  return Buffer.concat([field(1, Buffer.from('2.0')), field(2, info), field(8, Buffer.alloc(0))]);
}

/** A length-delimited field shorter than 128 bytes. */
function field(number: number, bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from([(number << 3) | 2, bytes.length]), bytes]);
}
