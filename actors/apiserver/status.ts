/**
 * Status: how the API says no. One factory per reason, with the texts and details that clients match on
 * (apimachinery, api/errors). Thrown anywhere in the core, turned into a response at its door.
 */
export interface StatusCause {
  readonly reason?: string;
  readonly message?: string;
  readonly field?: string;
}

export interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  /** The resource's plural for most reasons, the Kind for Invalid. */
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly StatusCause[];
  readonly retryAfterSeconds?: number;
}

export interface Status {
  readonly kind: 'Status';
  readonly apiVersion: 'v1';
  readonly metadata: { readonly continue?: string };
  readonly status: 'Success' | 'Failure';
  readonly message?: string;
  readonly reason?: string;
  readonly details?: StatusDetails;
  readonly code?: number;
}

export interface GroupResource {
  readonly group: string;
  readonly resource: string;
}

export class StatusError extends Error {
  readonly code: number;
  readonly reason: string;
  readonly details: StatusDetails | undefined;
  /** False: the write may have happened all the same. */
  readonly definite: boolean;
  /** Token of an inconsistent continuation, on 410 of a chunked list. */
  readonly continueToken: string | undefined;

  constructor(
    code: number,
    reason: string,
    message: string,
    details?: StatusDetails,
    options?: ErrorOptions & { readonly definite?: boolean; readonly continueToken?: string },
  ) {
    super(message, options);
    this.name = 'StatusError';
    this.code = code;
    this.reason = reason;
    this.details = details;
    this.definite = options?.definite ?? true;
    this.continueToken = options?.continueToken;
  }

  toStatus(): Status {
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: this.continueToken === undefined ? {} : { continue: this.continueToken },
      status: 'Failure',
      message: this.message,
      ...(this.reason && { reason: this.reason }),
      ...(this.details && { details: this.details }),
      code: this.code,
    };
  }
}

/** `pods`, `deployments.apps` */
export function qualified({ group, resource }: GroupResource): string {
  return group ? `${resource}.${group}` : resource;
}

function detailsOf(of: GroupResource, name?: string, more?: StatusDetails): StatusDetails {
  return { ...(name && { name }), ...(of.group && { group: of.group }), kind: of.resource, ...more };
}

export function notFound(of: GroupResource, name: string): StatusError {
  return new StatusError(404, 'NotFound', `${qualified(of)} "${name}" not found`, detailsOf(of, name));
}

/** A path that nothing serves. */
export function noSuchPath(): StatusError {
  return new StatusError(404, 'NotFound', 'the server could not find the requested resource', {});
}

export function alreadyExists(of: GroupResource, name: string): StatusError {
  return new StatusError(
    409,
    'AlreadyExists',
    `${qualified(of)} "${name}" already exists`,
    detailsOf(of, name),
  );
}

const modifiedText =
  'the object has been modified; please apply your changes to the latest version and try again';

export function conflict(
  of: GroupResource,
  name: string,
  why: string = modifiedText,
  causes?: readonly StatusCause[],
): StatusError {
  return new StatusError(
    409,
    'Conflict',
    `Operation cannot be fulfilled on ${qualified(of)} "${name}": ${why}`,
    detailsOf(of, name, causes && { causes }),
  );
}

/** The lease named by the fencing header has another holder: a deposed writer. Nothing was written. */
export function fenced(of: GroupResource, name: string, fence: string): StatusError {
  return conflict(of, name, `the writer no longer holds the lease (fence ${fence})`, [
    { reason: 'FencingTokenMismatch', message: `lease is not held as ${fence}` },
  ]);
}

export function invalid(
  of: { readonly group: string; readonly kind: string },
  name: string,
  causes: readonly StatusCause[],
): StatusError {
  const kind = of.group ? `${of.kind}.${of.group}` : of.kind;
  const named = of.kind === '' ? {} : { kind: of.kind };
  const texts = causes.map((cause) =>
    cause.field ? `${cause.field}: ${cause.message}` : `${cause.message}`,
  );
  const unique = [...new Set(texts)];
  const text = unique.length === 1 ? unique[0] : `[${unique.join(', ')}]`;
  return new StatusError(422, 'Invalid', `${kind} "${name}" is invalid: ${text}`, {
    ...(name && { name }),
    ...(of.group && { group: of.group }),
    ...named,
    causes,
  });
}

export function badRequest(message: string, options?: ErrorOptions): StatusError {
  return new StatusError(400, 'BadRequest', message, undefined, options);
}

export function forbidden(
  of: GroupResource,
  name: string,
  why: string,
  causes?: readonly StatusCause[],
): StatusError {
  const subject = name ? `${qualified(of)} "${name}"` : qualified(of);
  return new StatusError(
    403,
    'Forbidden',
    `${subject} is forbidden: ${why}`,
    detailsOf(of, name, causes && { causes }),
  );
}

export function forbiddenPath(why: string): StatusError {
  return new StatusError(403, 'Forbidden', `forbidden: ${why}`, {});
}

export function unauthorized(): StatusError {
  return new StatusError(401, 'Unauthorized', 'Unauthorized');
}

/** A path that is served, but not for this method. */
export function methodNotAllowed(): StatusError {
  return new StatusError(
    405,
    'MethodNotAllowed',
    'the server does not allow this method on the requested resource',
    {},
  );
}

/** What kube-apiserver answers with an error that is no Status: no reason, no details. */
export function plainError(message: string, options?: ErrorOptions): StatusError {
  return new StatusError(500, '', message, undefined, options);
}

/** Options of a request that apimachinery's validation refuses: `DeleteOptions`, `PatchOptions` ... */
export function invalidOptions(kind: string, causes: readonly StatusCause[]): StatusError {
  return invalid({ group: 'meta.k8s.io', kind }, '', causes);
}

/** Not part of this server, though Kubernetes has it. */
export function notImplemented(what: string): StatusError {
  return new StatusError(501, 'NotImplemented', `${what} is not supported by this server`);
}

export function notAcceptable(accepted: readonly string[]): StatusError {
  return new StatusError(
    406,
    'NotAcceptable',
    `only the following media types are accepted: ${accepted.join(', ')}`,
  );
}

export function unsupportedMediaType(accepted: readonly string[]): StatusError {
  return new StatusError(
    415,
    'UnsupportedMediaType',
    `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`,
  );
}

export function bodyTooLarge(limitBytes: number): StatusError {
  return new StatusError(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${limitBytes}`);
}

/** `continueToken`: what the rest of the list can be read with, at another revision. */
export function expired(message: string, continueToken?: string): StatusError {
  return new StatusError(410, 'Expired', message, undefined, continueToken ? { continueToken } : undefined);
}

export function revisionTooLarge(wanted: number, current: number): StatusError {
  return new StatusError(
    504,
    'Timeout',
    `Timeout: Too large resource version: ${wanted}, current: ${current}`,
    {
      causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
      retryAfterSeconds: 1,
    },
  );
}

export function tooManyRequests(message: string, causes?: readonly StatusCause[], seconds = 1): StatusError {
  return new StatusError(429, 'TooManyRequests', message, {
    ...(causes && { causes }),
    ...(seconds > 0 && { retryAfterSeconds: seconds }),
  });
}

export function unavailable(message: string, options?: ErrorOptions): StatusError {
  return new StatusError(503, 'ServiceUnavailable', message, { retryAfterSeconds: 1 }, options);
}

/** Said after a long wait. Without Retry-After, or client-go would ask ten times, silently, before its user hears of it. */
export function waitedInVain(message: string, options?: ErrorOptions): StatusError {
  return new StatusError(503, 'ServiceUnavailable', message, undefined, options);
}

/** The outcome of a write is unknown: it may have happened. With Retry-After client-go would blindly write again. */
export function timedOut(message: string, options?: ErrorOptions): StatusError {
  return new StatusError(504, 'Timeout', message, undefined, { ...options, definite: false });
}

export function internalError(message: string, options?: ErrorOptions & { definite?: boolean }): StatusError {
  return new StatusError(
    500,
    'InternalError',
    `Internal error occurred: ${message}`,
    { causes: [{ message }] },
    options,
  );
}

export function success(details?: StatusDetails, code?: number): Status {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    ...(details && { details }),
    ...(code && { code }),
  };
}
