/**
 * Syntax of names, labels and annotations, with the sentences that Kubernetes answers (apimachinery
 * util/validation). Each check returns what is wrong, one sentence per fault; empty when the value is fine.
 */

const dns1123LabelText =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must " +
  'start and end with ' +
  "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is " +
  "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const dns1123SubdomainText =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', " +
  'and must start and ' +
  "end with an alphanumeric character (e.g. 'example.com', regex used for validation is " +
  "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const dns1035LabelText =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an " +
  'alphabetic character, and ' +
  "end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is " +
  "'[a-z]([-a-z0-9]*[a-z0-9])?')";
const qualifiedNameText =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end " +
  'with an alphanumeric ' +
  "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is " +
  "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const labelValueText =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', " +
  'and must start and ' +
  "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used " +
  'for validation is ' +
  "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const configMapKeyText =
  "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  " +
  "or 'KEY_NAME',  or " +
  "'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
const envVarNameText =
  'a valid environment variable name must consist only of printable ASCII characters other than ' + "'='";
const portNameTexts = {
  characters: 'must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)',
  letter: 'must contain at least one letter (a-z)',
  doubled: 'must not contain consecutive hyphens',
  ends: 'must not begin or end with a hyphen',
};

const dns1123LabelPattern = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const dns1123SubdomainPattern = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const dns1035LabelPattern = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;
const qualifiedNamePattern = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;
const configMapKeyPattern = /^[-._a-zA-Z0-9]+$/;

export type NameCheck = (value: string) => string[];

export function checkDns1123Label(value: string): string[] {
  const faults = tooLong(value, 63);
  if (!dns1123LabelPattern.test(value)) {
    // A name that would pass as a subdomain is only told that dots do not belong here.
    faults.push(dns1123SubdomainPattern.test(value) ? 'must not contain dots' : dns1123LabelText);
  }
  return faults;
}

export function checkDns1123Subdomain(value: string): string[] {
  const faults = tooLong(value, 253);
  if (!dns1123SubdomainPattern.test(value)) faults.push(dns1123SubdomainText);
  return faults;
}

export function checkDns1035Label(value: string): string[] {
  const faults = tooLong(value, 63);
  if (!dns1035LabelPattern.test(value)) faults.push(dns1035LabelText);
  return faults;
}

/** RBAC names and the like: whatever can stand in a URL path. */
export function checkPathSegment(value: string): string[] {
  if (value === '.') return ["may not be '.'"];
  if (value === '..') return ["may not be '..'"];
  return ['/', '%']
    .filter((character) => value.includes(character))
    .map((character) => `may not contain '${character}'`);
}

/** Label keys, annotation keys (lower-cased by the caller), finalizers, resource names: `[prefix/]name`. */
export function checkQualifiedName(value: string): string[] {
  const parts = value.split('/');
  if (parts.length > 2) {
    return [
      `a qualified name ${describePattern(qualifiedNameText)} with an optional DNS subdomain ` +
        `prefix and '/' (e.g. 'example.com/MyName')`,
    ];
  }
  const faults: string[] = [];
  const name = parts.at(-1)!;
  if (parts.length === 2) {
    const prefix = parts[0]!;
    if (prefix === '') faults.push('prefix part must be non-empty');
    else faults.push(...checkDns1123Subdomain(prefix).map((fault) => `prefix part ${fault}`));
  }
  if (name === '') faults.push('name part must be non-empty');
  else if (name.length > 63) faults.push('name part must be no more than 63 bytes');
  if (!qualifiedNamePattern.test(name)) faults.push(qualifiedNameText);
  return faults;
}

export function checkLabelValue(value: string): string[] {
  const faults = tooLong(value, 63);
  if (value !== '' && !qualifiedNamePattern.test(value)) faults.push(labelValueText);
  return faults;
}

export function checkConfigMapKey(value: string): string[] {
  const faults = tooLong(value, 253);
  if (!configMapKeyPattern.test(value)) faults.push(configMapKeyText);
  if (value === '.') faults.push("must not be '.'");
  if (value === '..') faults.push("must not be '..'");
  else if (value.startsWith('..')) faults.push("must not start with '..'");
  return faults;
}

export function checkEnvVarName(value: string): string[] {
  if (value === '') return ['environment variable name must be non-empty'];
  return /^[ -<>-~]+$/.test(value) ? [] : [envVarNameText];
}

/** Names of container and service target ports (IANA service names, RFC 6335 §5.1). */
export function checkPortName(value: string): string[] {
  const faults: string[] = [];
  if (Buffer.byteLength(value) > 15) faults.push('must be no more than 15 characters');
  if (!/^[-a-z0-9]+$/.test(value)) faults.push(portNameTexts.characters);
  if (!/[a-z]/.test(value)) faults.push(portNameTexts.letter);
  if (value.includes('--')) faults.push(portNameTexts.doubled);
  if (value.startsWith('-') || value.endsWith('-')) faults.push(portNameTexts.ends);
  return faults;
}

export function checkPortNumber(port: number): string[] {
  return Number.isInteger(port) && port >= 1 && port <= 65535
    ? []
    : ['must be between 1 and 65535, inclusive'];
}

/** `generateName` checks a prefix: one that ends in a dash is fine, the suffix follows. */
export function checkPrefix(check: NameCheck, value: string): string[] {
  return check(value.endsWith('-') && value.length > 1 ? `${value.slice(0, -1)}a` : value);
}

export function annotationsSize(annotations: Readonly<Record<string, string>>): number {
  let bytes = 0;
  for (const [key, value] of Object.entries(annotations)) {
    bytes += Buffer.byteLength(key) + Buffer.byteLength(value);
  }
  return bytes;
}

function tooLong(value: string, bytesMax: number): string[] {
  return Buffer.byteLength(value) > bytesMax ? [`must be no more than ${bytesMax} bytes`] : [];
}

function describePattern(text: string): string {
  return text.replace(/^name part /, '');
}
