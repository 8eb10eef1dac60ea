/**
 * Label and field selectors: the strings of a query and the LabelSelector objects of specs, parsed once into
 * requirements and matched against objects (apimachinery labels and fields packages; their texts, too).
 */
import { ObjectError } from './errors.js';
import { objectLimits } from './limits.js';
import { checkLabelValue, checkQualifiedName } from './names.js';
import { compareText } from './text-order.js';

export type LabelOperator = '=' | '!=' | 'in' | 'notin' | 'exists' | '!' | 'gt' | 'lt';

export interface LabelRequirement {
  readonly key: string;
  readonly operator: LabelOperator;
  /** Sorted; one value for `=`, `!=`, `gt` and `lt`, none for `exists` and `!`. */
  readonly values: readonly string[];
}

/** What a LabelSelector object looks like in a spec. */
export interface LabelSelectorObject {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values?: readonly string[];
  }[];
}

export type Labels = Readonly<Record<string, string>> | undefined;

/** Every requirement must hold; none match everything, unless it was made by `matchNothing`. */
export class LabelSelector {
  readonly requirements: readonly LabelRequirement[];
  readonly #nothing: boolean;

  constructor(requirements: readonly LabelRequirement[], nothing = false) {
    this.requirements = requirements;
    this.#nothing = nothing;
  }

  get matchesEverything(): boolean {
    return !this.#nothing && this.requirements.length === 0;
  }

  matches(labels: Labels): boolean {
    return !this.#nothing && this.requirements.every((requirement) => meets(requirement, labels ?? {}));
  }

  /** As a query would say it. */
  toString(): string {
    return this.requirements.map(printRequirement).join(',');
  }
}

export const matchEverything = new LabelSelector([]);
export const matchNothing = new LabelSelector([], true);

/** `a=b,c!=d,e in (f,g),h notin (i),j,!k,l>5`. Throws BAD_SELECTOR. */
export function parseLabelSelector(text: string): LabelSelector {
  return new LabelSelector(new LabelParser(text).parse());
}

/** A LabelSelector object; undefined selects nothing, an empty one everything. Throws BAD_SELECTOR. */
export function labelSelectorFromObject(selector: LabelSelectorObject | undefined | null): LabelSelector {
  if (selector === undefined || selector === null) return matchNothing;
  const requirements: LabelRequirement[] = Object.entries(selector.matchLabels ?? {}).map(([key, value]) => ({
    key,
    operator: '=',
    values: [value],
  }));
  for (const { key, operator, values = [] } of selector.matchExpressions ?? []) {
    const known = { In: 'in', NotIn: 'notin', Exists: 'exists', DoesNotExist: '!' } as const;
    const translated = known[operator as keyof typeof known] as LabelOperator | undefined;
    if (!translated) {
      throw new ObjectError('BAD_SELECTOR', `"${operator}" is not a valid label selector operator`);
    }
    requirements.push({ key, operator: translated, values: [...values].sort() });
  }
  requirements.sort((a, b) => compareText(a.key, b.key));
  return new LabelSelector(requirements);
}

/** Equality only, as Service and ReplicationController have it; an absent or empty one selects nothing. */
export function labelSelectorFromMap(labels: Labels): LabelSelector {
  if (!labels || Object.keys(labels).length === 0) return matchNothing;
  return labelSelectorFromObject({ matchLabels: labels });
}

function meets(
  { key, operator, values }: LabelRequirement,
  labels: Readonly<Record<string, string>>,
): boolean {
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case '=':
    case 'in':
      return value !== undefined && values.includes(value);
    case '!=':
    case 'notin':
      return value === undefined || !values.includes(value);
    case 'exists':
      return value !== undefined;
    case '!':
      return value === undefined;
    case 'gt':
      return value !== undefined && /^-?\d+$/.test(value) && BigInt(value) > BigInt(values[0]!);
    case 'lt':
      return value !== undefined && /^-?\d+$/.test(value) && BigInt(value) < BigInt(values[0]!);
    default:
      return operator satisfies never;
  }
}

function printRequirement({ key, operator, values }: LabelRequirement): string {
  switch (operator) {
    case '=':
    case '!=':
      return `${key}${operator}${values[0]!}`;
    case 'in':
    case 'notin':
      return `${key} ${operator} (${values.join(',')})`;
    case 'exists':
      return key;
    case '!':
      return `!${key}`;
    case 'gt':
      return `${key}>${values[0]!}`;
    case 'lt':
      return `${key}<${values[0]!}`;
    default:
      return operator satisfies never;
  }
}

interface Token {
  readonly type: 'word' | 'symbol' | 'end';
  readonly text: string;
}

class LabelParser {
  readonly #tokens: readonly Token[];
  #position = 0;

  constructor(text: string) {
    this.#tokens = tokenize(text);
  }

  parse(): LabelRequirement[] {
    const requirements: LabelRequirement[] = [];
    while (this.#peek().type !== 'end') {
      requirements.push(this.#requirement());
      if (requirements.length > objectLimits.selectorTermsMax) {
        throw new ObjectError(
          'BAD_SELECTOR',
          `selector has more than ${objectLimits.selectorTermsMax} requirements`,
        );
      }
      const next = this.#take();
      if (next.type === 'end') break;
      if (next.text !== ',') throw unable(`found '${next.text}', expected: ',' or 'end of string'`);
      const after = this.#peek();
      if (after.type === 'end' || (after.type === 'symbol' && after.text !== '!')) {
        throw unable(`found '${after.text}', expected: identifier after ','`);
      }
    }
    return requirements.sort((a, b) => compareText(a.key, b.key));
  }

  #requirement(): LabelRequirement {
    let first = this.#take();
    if (first.text === '!' && first.type === 'symbol') {
      first = this.#take();
      return { key: checkKey(first), operator: '!', values: [] };
    }
    const key = checkKey(first);
    const operator = this.#peek();
    if (operator.type === 'end' || operator.text === ',') return { key, operator: 'exists', values: [] };
    this.#position++;
    switch (operator.text) {
      case '=':
      case '==':
        return { key, operator: '=', values: [this.#value(key)] };
      case '!=':
        return { key, operator: '!=', values: [this.#value(key)] };
      case 'in':
      case 'notin':
        return { key, operator: operator.text, values: this.#values(key) };
      case '>':
      case '<': {
        const value = this.#value(key);
        if (!/^-?\d+$/.test(value)) {
          throw new ObjectError(
            'BAD_SELECTOR',
            `values[0][${key}]: Invalid value: "${value}": for 'Gt', 'Lt' operators, the value ` +
              'must be an integer',
          );
        }
        return { key, operator: operator.text === '>' ? 'gt' : 'lt', values: [value] };
      }
      default:
        throw unable(`found '${operator.text}', expected: in, notin, =, ==, !=, gt, lt`);
    }
  }

  #value(key: string): string {
    const next = this.#peek();
    if (next.type === 'end' || next.text === ',') return '';
    this.#position++;
    if (next.type !== 'word') throw unable(`found '${next.text}', expected: identifier`);
    return checkValue(key, next.text);
  }

  #values(key: string): string[] {
    const open = this.#take();
    if (open.text !== '(') throw unable(`found '${open.text}' expected: '('`);
    const values: string[] = [];
    let wanted = true;
    for (;;) {
      const token = this.#take();
      if (token.type === 'word') {
        values.push(checkValue(key, token.text));
        wanted = false;
      } else if (token.text === ',') {
        if (wanted) values.push('');
        wanted = true;
      } else if (token.text === ')') {
        if (wanted) values.push('');
        break;
      } else {
        throw unable(`found '${token.text}', expected: ',', or identifier`);
      }
    }
    return [...new Set(values)].sort();
  }

  #peek(): Token {
    return this.#tokens[this.#position]!;
  }

  #take(): Token {
    const token = this.#tokens[this.#position]!;
    if (token.type !== 'end') this.#position++;
    return token;
  }
}

function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  const pattern = /\s*(?:([=!]=|[=!,()<>])|([^\s=!,()<>]+))/gy;
  pattern.lastIndex = 0;
  let end = 0;
  for (let match = pattern.exec(text); match; match = pattern.exec(text)) {
    end = pattern.lastIndex;
    if (match[1] !== undefined) tokens.push({ type: 'symbol', text: match[1] });
    else tokens.push({ type: 'word', text: match[2]! });
  }
  if (text.slice(end).trim() !== '') throw unable(`found '${text.slice(end).trim()}'`);
  tokens.push({ type: 'end', text: '' });
  return tokens;
}

function checkKey(token: Token): string {
  if (token.type !== 'word')
    throw unable(`found '${token.text}', expected: !, identifier, or 'end of string'`);
  const faults = checkQualifiedName(token.text);
  if (faults.length > 0) {
    throw unable(`key: Invalid value: "${token.text}": ${faults.join('; ')}`);
  }
  return token.text;
}

function checkValue(key: string, value: string): string {
  const faults = checkLabelValue(value);
  if (faults.length > 0) {
    throw unable(`values[0][${key}]: Invalid value: "${value}": ${faults.join('; ')}`);
  }
  return value;
}

function unable(detail: string): ObjectError {
  return new ObjectError('BAD_SELECTOR', `unable to parse requirement: ${detail}`);
}
