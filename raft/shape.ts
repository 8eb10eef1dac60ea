/**
 * Whether plain data from outside has the shape that its type promises: a check answers with the path to what is wrong, or
 * with undefined. Checks are made once, as tables; one that passes makes no garbage, for every letter goes through them.
 */

/** `''`: the value itself is wrong; `.key`, `[3].value`: what lies there. */
export type Check = (value: unknown) => string | undefined;

/** A check for every field of `T` but `type`: a field that is added does not compile before it has one. */
export type ShapeOf<T> = { readonly [Field in Exclude<keyof T, 'type'>]-?: Check };

/** Such a table for each of the types that `T` is of: a type that is added does not compile before it has one. */
export type ShapesOf<T extends { readonly type: string }> = {
  readonly [Type in T['type']]: ShapeOf<Extract<T, { readonly type: Type }>>;
};

type Shape = Readonly<Record<string, Check>>;

const wrong = '';

export const text: Check = (value) => (typeof value === 'string' ? undefined : wrong);
export const flag: Check = (value) => (typeof value === 'boolean' ? undefined : wrong);
export const bytes: Check = (value) => (value instanceof Uint8Array ? undefined : wrong);
/** Also beyond what a number holds exactly: a client's "no limit" may be one. */
export const whole: Check = (value) => (Number.isInteger(value) ? undefined : wrong);
export const finite: Check = (value) => (Number.isFinite(value) ? undefined : wrong);
export const count: Check = (value) =>
  Number.isSafeInteger(value) && (value as number) >= 0 ? undefined : wrong;

export function optional(check: Check): Check {
  return (value) => (value === undefined ? undefined : check(value));
}

export function oneOf(...names: readonly string[]): Check {
  return (value) => (names.includes(value as string) ? undefined : wrong);
}

export function listOf(check: Check, lengthMax = Infinity): Check {
  return (value) => {
    if (!Array.isArray(value) || value.length > lengthMax) return wrong;
    for (let i = 0; i < value.length; i++) {
      const path = check(value[i]);
      if (path !== undefined) return `[${i}]${path}`;
    }
    return undefined;
  };
}

/** An object whose fields are names of any kind, each with such a value. */
export function mapOf(check: Check): Check {
  return (value) => {
    if (!isRecord(value)) return wrong;
    for (const name of Object.keys(value)) {
      const path = check(value[name]);
      if (path !== undefined) return `.${name.slice(0, 64)}${path}`;
    }
    return undefined;
  };
}

export function record(shape: Shape): Check {
  return (value) => (isRecord(value) ? wrongField(value, shape) : wrong);
}

/** Of one of these, told apart by `type`. */
export function union(shapes: Readonly<Record<string, Check>>): Check {
  return (value) => {
    if (!isRecord(value)) return wrong;
    const { type } = value;
    if (typeof type !== 'string' || !Object.hasOwn(shapes, type)) return '.type';
    return shapes[type]!(value);
  };
}

export type Fields = Readonly<Record<string, unknown>>;

export function isRecord(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);
}

export function wrongField(value: Fields, shape: Shape): string | undefined {
  for (const field in shape) {
    const path = shape[field]!(value[field]);
    if (path !== undefined) return `.${field}${path}`;
  }
  return undefined;
}
