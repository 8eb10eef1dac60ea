/**
 * Finds keys that a JSON object has twice, which JSON.parse silently lets the last one win. The common case,
 * none, is settled by counting: as many `"key":` in the text as keys in the value. Only otherwise is the text
 * walked.
 */
import { objectLimits } from './limits.js';

/**
 * `text` must be valid JSON and `value` what JSON.parse made of it. Gives `duplicate field "spec.replicas"`.
 */
export function findDuplicateFields(text: string, value: unknown): readonly string[] {
  if (countKeysInText(text) === countKeys(value)) return [];
  const found: string[] = [];
  new Walker(text, found).value('');
  return [...new Set(found)].slice(0, objectLimits.decodingIssuesMax);
}

function countKeysInText(text: string): number {
  const strings = /"(?:[^"\\]|\\.)*"(\s*:)?/g;
  let count = 0;
  for (let match = strings.exec(text); match; match = strings.exec(text)) {
    if (match[1] !== undefined) count++;
  }
  return count;
}

function countKeys(root: unknown): number {
  const pending: unknown[] = [root];
  let count = 0;
  while (pending.length > 0) {
    const value = pending.pop();
    if (typeof value !== 'object' || value === null) continue;
    const entries: unknown[] = Array.isArray(value) ? value : Object.values(value);
    if (!Array.isArray(value)) count += entries.length;
    for (const entry of entries) pending.push(entry);
  }
  return count;
}

class Walker {
  readonly #text: string;
  readonly #found: string[];
  #position = 0;
  #depth = 0;

  constructor(text: string, found: string[]) {
    this.#text = text;
    this.#found = found;
  }

  value(path: string): void {
    this.#skipSpace();
    // Deeper than decoding goes anyway: it will be refused there.
    if (++this.#depth > objectLimits.depthMax * 2) {
      this.#position = this.#text.length;
      return;
    }
    const character = this.#text[this.#position];
    if (character === '{') this.#object(path);
    else if (character === '[') this.#array(path);
    else if (character === '"') this.#string();
    else this.#scalar();
    this.#depth--;
  }

  #object(path: string): void {
    const seen = new Set<string>();
    this.#position++;
    this.#skipSpace();
    while (this.#position < this.#text.length && this.#text[this.#position] !== '}') {
      const key = this.#string();
      const inner = path === '' ? key : `${path}.${key}`;
      if (seen.has(key)) this.#found.push(`duplicate field "${inner}"`);
      seen.add(key);
      this.#skipSpace();
      this.#position++;
      this.value(inner);
      this.#skipSeparator();
    }
    this.#position++;
  }

  #array(path: string): void {
    this.#position++;
    this.#skipSpace();
    for (let index = 0; this.#position < this.#text.length && this.#text[this.#position] !== ']'; index++) {
      this.value(`${path}[${index}]`);
      this.#skipSeparator();
    }
    this.#position++;
  }

  #string(): string {
    const pattern = /"(?:[^"\\]|\\.)*"/y;
    pattern.lastIndex = this.#position;
    const match = pattern.exec(this.#text);
    if (!match) {
      this.#position = this.#text.length;
      return '';
    }
    this.#position = pattern.lastIndex;
    return JSON.parse(match[0]) as string;
  }

  #scalar(): void {
    const pattern = /[^,\]}\s]+/y;
    pattern.lastIndex = this.#position;
    this.#position = pattern.exec(this.#text) ? pattern.lastIndex : this.#text.length;
  }

  #skipSpace(): void {
    while (/\s/.test(this.#text[this.#position] ?? '')) this.#position++;
  }

  #skipSeparator(): void {
    this.#skipSpace();
    if (this.#text[this.#position] === ',') this.#position++;
    this.#skipSpace();
  }
}
