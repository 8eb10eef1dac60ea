/**
 * Content negotiation: which form of an object the client wants (Accept), and what it sent (Content-Type).
 * Responses are JSON or YAML; as Table or PartialObjectMetadata when asked. Protobuf is read, not written: every
 * client that prefers it also lists JSON.
 */
import { stringify } from 'yaml';
import { badRequest, notAcceptable } from './status.js';

export type FormType = 'object' | 'table' | 'partial';

/** A form of responses. `key` names it for the sharing of encoded events. */
export interface Form {
  readonly type: FormType;
  /** What rows of a table carry. */
  readonly includeObject: 'None' | 'Metadata' | 'Object';
  readonly yaml: boolean;
  /** PartialObjectMetadataList was asked for: it fits lists alone. */
  readonly ofList: boolean;
  readonly key: string;
}

export interface MediaType {
  readonly type: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly quality: number;
}

export const acceptedTypes = ['application/json', 'application/yaml'];

export function parseAccept(header: string): MediaType[] {
  const parsed = header
    .split(',')
    .map((part) => parseMediaType(part))
    .filter((media) => media.type !== '');
  return parsed
    .map((media, index) => ({ media, index }))
    .sort((a, b) => b.media.quality - a.media.quality || a.index - b.index)
    .map(({ media }) => media);
}

export function parseMediaType(text: string): MediaType {
  const [type = '', ...rest] = text.split(';').map((part) => part.trim());
  const parameters: Record<string, string> = {};
  for (const parameter of rest) {
    const equals = parameter.indexOf('=');
    if (equals > 0) {
      parameters[parameter.slice(0, equals).toLowerCase()] = parameter
        .slice(equals + 1)
        .replace(/^"|"$/g, '');
    }
  }
  const quality = Number(parameters['q'] ?? '1');
  return { type: type.toLowerCase(), parameters, quality: Number.isFinite(quality) ? quality : 0 };
}

/** `transforms`: whether this resource can be shown as a table or as metadata alone. */
export function negotiate(
  accept: string | undefined,
  query: URLSearchParams,
  options: { readonly transforms: boolean },
): Form {
  const includeObject = includeObjectOf(query);
  for (const { type, parameters } of parseAccept(accept || 'application/json')) {
    const yaml = type === 'application/yaml';
    const json = type === 'application/json' || type === 'application/*' || type === '*/*';
    if (!yaml && !json) continue;
    const as = parameters['as'];
    if (as === undefined) return form('object', includeObject, yaml);
    if (!options.transforms || parameters['g'] !== 'meta.k8s.io' || parameters['v'] !== 'v1') continue;
    if (as === 'Table') return form('table', includeObject, yaml);
    if (as === 'PartialObjectMetadata') return form('partial', includeObject, yaml);
    if (as === 'PartialObjectMetadataList') return { ...form('partial', includeObject, yaml), ofList: true };
  }
  throw notAcceptable(acceptedTypes);
}

function form(type: FormType, includeObject: Form['includeObject'], yaml: boolean): Form {
  return {
    type,
    includeObject,
    yaml,
    ofList: false,
    key: type === 'table' ? `table/${includeObject}` : type,
  };
}

function includeObjectOf(query: URLSearchParams): Form['includeObject'] {
  const value = query.get('includeObject') ?? '';
  switch (value) {
    case '':
    case 'Metadata':
      return 'Metadata';
    case 'None':
    case 'Object':
      return value;
    default:
      throw badRequest(`unrecognized includeObject value: ${JSON.stringify(value)}`);
  }
}

export const jsonForm: Form = form('object', 'Metadata', false);

export function contentTypeOf(form: Form): string {
  return form.yaml ? 'application/yaml' : 'application/json';
}

export function toYaml(json: string): string {
  // Readers of YAML 1.1, which are most, take an unquoted time or `on` for something else than text.
  return stringify(JSON.parse(json), {
    version: '1.1',
    lineWidth: 0,
    aliasDuplicateObjects: false,
    sortMapEntries: true,
  });
}
