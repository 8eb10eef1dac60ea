/**
 * Field selectors: `spec.nodeName=n1,status.phase!=Failed`. Which fields a kind can be selected by is a
 * table; anything else is refused with Kubernetes' text (apimachinery fields; the conversion functions of
 * each API group).
 */
import { ObjectError } from './errors.js';
import { objectLimits } from './limits.js';

export interface FieldRequirement {
  readonly field: string;
  readonly operator: '=' | '!=';
  readonly value: string;
}

/** Reads a selectable field as the text that it is compared with; absent is ''. */
type FieldReader = (object: unknown) => string;

export class FieldSelector {
  readonly requirements: readonly FieldRequirement[];
  readonly #readers: readonly FieldReader[];

  constructor(requirements: readonly FieldRequirement[], readers: readonly FieldReader[]) {
    this.requirements = requirements;
    this.#readers = readers;
  }

  get matchesEverything(): boolean {
    return this.requirements.length === 0;
  }

  matches(object: unknown): boolean {
    return this.requirements.every(({ operator, value }, index) => {
      const actual = this.#readers[index]!(object);
      return operator === '=' ? actual === value : actual !== value;
    });
  }

  /** The value that `field` must have, when the selector pins it: `metadata.name` makes a list a get. */
  exactMatch(field: string): string | undefined {
    return this.requirements.find((each) => each.field === field && each.operator === '=')?.value;
  }

  toString(): string {
    return this.requirements
      .map((each) => `${each.field}${each.operator}${escapeValue(each.value)}`)
      .join(',');
  }
}

export const everyField = new FieldSelector([], []);

/** By group and kind; every kind also has metadata.name and, when namespaced, metadata.namespace. */
const selectableFields: Readonly<Record<string, readonly string[]>> = {
  '/Pod': [
    'spec.nodeName',
    'spec.restartPolicy',
    'spec.schedulerName',
    'spec.serviceAccountName',
    'spec.hostNetwork',
    'status.phase',
    'status.podIP',
    'status.podIPs',
    'status.nominatedNodeName',
  ],
  '/Node': ['spec.unschedulable'],
  '/Event': eventFields('involvedObject'),
  'events.k8s.io/Event': eventFields('regarding'),
  '/Namespace': ['status.phase'],
  '/Secret': ['type'],
  '/Service': ['spec.clusterIP', 'spec.type'],
  '/ReplicationController': ['status.replicas'],
  'apps/ReplicaSet': ['status.replicas'],
  'batch/Job': ['status.successful'],
  'certificates.k8s.io/CertificateSigningRequest': ['spec.signerName'],
};

function eventFields(subject: string): string[] {
  const parts = ['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'];
  return [...parts.map((part) => `${subject}.${part}`), 'reason', 'reportingComponent', 'source', 'type'];
}

/** Fields whose text is not simply the value at their path. */
const readers: Readonly<Record<string, FieldReader>> = {
  'spec.unschedulable': (object) => String(read(object, ['spec', 'unschedulable']) ?? false),
  'spec.hostNetwork': (object) => String(read(object, ['spec', 'hostNetwork']) ?? false),
  'status.replicas': (object) => String(read(object, ['status', 'replicas']) ?? 0),
  'status.successful': (object) => String(read(object, ['status', 'succeeded']) ?? 0),
  'status.podIPs': (object) => {
    const ips = read(object, ['status', 'podIPs']);
    return Array.isArray(ips) ? ips.map((entry) => text(read(entry, ['ip']))).join(',') : '';
  },
  source: (object) =>
    text(read(object, ['source', 'component'])) ||
    text(read(object, ['deprecatedSource', 'component'])) ||
    text(read(object, ['reportingComponent'])) ||
    text(read(object, ['reportingController'])),
  reportingComponent: (object) =>
    text(read(object, ['reportingComponent'])) || text(read(object, ['reportingController'])),
};

export interface SelectableKind {
  readonly group: string;
  readonly kind: string;
  readonly namespaced: boolean;
  /**
   * JSON paths that a CustomResourceDefinition adds (`.spec.color`); given, if empty, for every custom
   * resource.
   */
  readonly selectableFields?: readonly string[];
}

/** Throws BAD_SELECTOR for bad syntax and for a field that this kind is not selected by. */
export function parseFieldSelector(source: string, kind: SelectableKind): FieldSelector {
  const requirements = splitTerms(source)
    .filter((term) => term !== '')
    .map(parseTerm);
  if (requirements.length > objectLimits.selectorTermsMax) {
    throw new ObjectError(
      'BAD_SELECTOR',
      `selector has more than ${objectLimits.selectorTermsMax} requirements`,
    );
  }
  return new FieldSelector(
    requirements,
    requirements.map(({ field }) => readerOf(field, kind)),
  );
}

function readerOf(field: string, kind: SelectableKind): FieldReader {
  const fields = selectableFields[`${kind.group}/${kind.kind}`];
  const known =
    field === 'metadata.name' ||
    (field === 'metadata.namespace' && kind.namespaced) ||
    fields?.includes(field) ||
    kind.selectableFields?.includes(`.${field}`);
  if (!known) {
    const plain = fields === undefined && kind.selectableFields === undefined;
    throw new ObjectError(
      'BAD_SELECTOR',
      plain
        ? `"${field}" is not a known field selector: only "metadata.name", "metadata.namespace"`
        : `field label not supported: ${field}`,
    );
  }
  const path = field.split('.');
  return readers[field] ?? ((object) => text(read(object, path)));
}

/** Commas separate terms unless a backslash stands before them. */
function splitTerms(source: string): string[] {
  const terms: string[] = [];
  let term = '';
  for (let index = 0; index < source.length; index++) {
    const character = source[index]!;
    if (character === '\\' && index + 1 < source.length) {
      term += character + source[++index]!;
    } else if (character === ',') {
      terms.push(term);
      term = '';
    } else {
      term += character;
    }
  }
  terms.push(term);
  return terms;
}

function parseTerm(term: string): FieldRequirement {
  const match = /^([^=!]*?)(!=|==|=)(.*)$/s.exec(term);
  if (!match)
    throw new ObjectError('BAD_SELECTOR', `invalid selector: '${term}'; can't understand '${term}'`);
  const [, field, operator, value] = match;
  return { field: field!, operator: operator === '!=' ? '!=' : '=', value: unescapeValue(value!, term) };
}

function unescapeValue(value: string, term: string): string {
  let plain = '';
  for (let index = 0; index < value.length; index++) {
    const character = value[index]!;
    if (character === '\\') {
      const next = value[++index];
      if (next !== '\\' && next !== ',' && next !== '=') {
        throw new ObjectError(
          'BAD_SELECTOR',
          `invalid selector: '${term}'; can't understand '${term}': invalid escape sequence`,
        );
      }
      plain += next;
    } else if (character === '=') {
      throw new ObjectError(
        'BAD_SELECTOR',
        `invalid selector: '${term}'; can't understand '${term}': unescaped character in value: "="`,
      );
    } else {
      plain += character;
    }
  }
  return plain;
}

function escapeValue(value: string): string {
  return value.replace(/[\\,=]/g, (character) => `\\${character}`);
}

function read(object: unknown, path: readonly string[]): unknown {
  let value = object;
  for (const key of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}

function text(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return value;
    case 'number':
    case 'boolean':
      return String(value);
    default:
      return '';
  }
}
