/**
 * Errors of this folder, shaped so that an apiserver can answer with them: HTTP status, Kubernetes' reason
 * and the causes of a Status (Kubernetes API conventions, "Response Status Kind").
 */

/** Every code this folder throws; `status` and `reason` are what a client is told. */
const objectErrorCodes = {
  /** The body is not what its content type says. */
  MALFORMED: { status: 400, reason: 'BadRequest' },
  /** Unknown or duplicate fields under strict field validation. */
  STRICT_DECODING: { status: 400, reason: 'BadRequest' },
  /** A label or field selector that does not parse. */
  BAD_SELECTOR: { status: 400, reason: 'BadRequest' },
  /** A quantity, time or int-or-string that does not parse. */
  BAD_VALUE: { status: 400, reason: 'BadRequest' },
  /** A patch document that is malformed or does not apply. */
  BAD_PATCH: { status: 400, reason: 'BadRequest' },
  /**
   * A patch that parses but cannot be carried out on this object (a failed `test`, a path that is missing).
   */
  PATCH_FAILED: { status: 422, reason: 'Invalid' },
  /** The object breaks the rules of its kind. */
  INVALID: { status: 422, reason: 'Invalid' },
  /** Server-side apply met fields that others own. */
  APPLY_CONFLICT: { status: 409, reason: 'Conflict' },
  /** Server-side apply was given a field that the schema does not have; kube-apiserver has no reason for it. */
  NOT_IN_SCHEMA: { status: 500, reason: '' },
  /** Content type, version or kind that is not spoken here. */
  UNSUPPORTED_MEDIA_TYPE: { status: 415, reason: 'UnsupportedMediaType' },
  NOT_ACCEPTABLE: { status: 406, reason: 'NotAcceptable' },
  /** Larger or deeper than the limits allow. */
  TOO_LARGE: { status: 413, reason: 'RequestEntityTooLarge' },
} as const;

type ObjectErrorCode = keyof typeof objectErrorCodes;

/** One entry of `Status.details.causes`. */
export interface StatusCause {
  readonly reason: string;
  readonly message: string;
  readonly field?: string;
}

export class ObjectError extends Error {
  readonly code: ObjectErrorCode;
  /** HTTP status. */
  readonly status: number;
  /** Kubernetes' reason. */
  readonly reason: string;
  readonly causes: readonly StatusCause[];

  constructor(
    code: ObjectErrorCode,
    message: string,
    options: ErrorOptions & { readonly causes?: readonly StatusCause[] } = {},
  ) {
    super(message, options);
    this.name = 'ObjectError';
    this.code = code;
    this.status = objectErrorCodes[code].status;
    this.reason = objectErrorCodes[code].reason;
    this.causes = options.causes ?? [];
  }
}
