/**
 * Writes types/*.ts from the schema table: an interface per definition of the generally available versions
 * that our own components use. `node generate-types.mjs` writes, `--check` only tells (exit 1) what would
 * change.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as prettier from 'prettier';

const here = new URL('./', import.meta.url);
const header = '// Generated from schema/kubernetes-1.36.json by generate-types.mjs; do not edit.\n';
const metaPackage = 'io.k8s.apimachinery.pkg.apis.meta.v1';

/** File name to definition package. */
const files = {
  apps: 'io.k8s.api.apps.v1',
  authentication: 'io.k8s.api.authentication.v1',
  authorization: 'io.k8s.api.authorization.v1',
  autoscaling: 'io.k8s.api.autoscaling.v1',
  'autoscaling-v2': 'io.k8s.api.autoscaling.v2',
  batch: 'io.k8s.api.batch.v1',
  coordination: 'io.k8s.api.coordination.v1',
  core: 'io.k8s.api.core.v1',
  discovery: 'io.k8s.api.discovery.v1',
  meta: metaPackage,
  networking: 'io.k8s.api.networking.v1',
  policy: 'io.k8s.api.policy.v1',
  rbac: 'io.k8s.api.rbac.v1',
  scheduling: 'io.k8s.api.scheduling.v1',
};

const metaPreamble = `
/** Canonical form as Kubernetes prints it: \`500m\`, \`1Gi\`. */
export type Quantity = string;
/** RFC 3339, whole seconds, Z. */
export type Time = string;
/** RFC 3339, six decimals, Z. */
export type MicroTime = string;
export type IntOrString = number | string;

`;
const inMeta = {
  'io.k8s.apimachinery.pkg.api.resource.Quantity': 'Quantity',
  'io.k8s.apimachinery.pkg.util.intstr.IntOrString': 'IntOrString',
  [`${metaPackage}.Time`]: 'Time',
  [`${metaPackage}.MicroTime`]: 'MicroTime',
};
/** Written by hand in ../meta.ts. */
const objectMeta = `${metaPackage}.ObjectMeta`;
const freeForm = new Set(['io.k8s.apimachinery.pkg.runtime.RawExtension', `${metaPackage}.FieldsV1`]);

const { definitions } = JSON.parse(readFileSync(new URL('schema/kubernetes-1.36.json', here), 'utf8'));
const packageOf = (name) => name.slice(0, name.lastIndexOf('.'));
const shortOf = (name) => name.slice(name.lastIndexOf('.') + 1);
const fileOf = Object.fromEntries(Object.entries(files).map(([file, name]) => [name, file]));

/** What the other files reach in meta; nothing else of it is of use to components. */
function reachedInMeta() {
  const reached = new Set([`${metaPackage}.Status`]);
  const visit = (type) => {
    for (const [, name] of type.matchAll(/#([\w.-]+)/g)) {
      if (packageOf(name) !== metaPackage || reached.has(name) || name in inMeta || name === objectMeta)
        continue;
      if (freeForm.has(name)) continue;
      reached.add(name);
      for (const field of Object.values(definitions[name].fields ?? {})) visit(field.type);
    }
  };
  for (const [name, definition] of Object.entries(definitions)) {
    const file = fileOf[packageOf(name)];
    if (file === undefined || (file === 'meta' && !reached.has(name))) continue;
    for (const field of Object.values(definition.fields ?? {})) visit(field.type);
  }
  return reached;
}

function namesIn(file) {
  if (file === 'meta') return [...reachedInMeta()].sort();
  return Object.keys(definitions)
    .filter((name) => packageOf(name) === files[file] && definitions[name].fields)
    .sort();
}

function typeOf(text, imports) {
  if (text.startsWith('[')) {
    const of = typeOf(text.slice(1, -1), imports);
    return of.includes(' ') && !of.startsWith('Record') ? `(${of})[]` : `${of}[]`;
  }
  if (text.startsWith('{')) return `Record<string, ${typeOf(text.slice(1, -1), imports)}>`;
  if (text.startsWith('#')) {
    const name = text.slice(1);
    if (freeForm.has(name)) return 'Record<string, unknown>';
    imports.add(name);
    return inMeta[name] ?? shortOf(name);
  }
  return { string: 'string', 'string:byte': 'string', boolean: 'boolean' }[text] ?? 'number';
}

function interfaceOf(name, imports) {
  const { fields, required = [] } = definitions[name];
  const lines = Object.entries(fields)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([field, { type }]) => {
      const key = /^[A-Za-z_$][\w$]*$/.test(field) ? field : JSON.stringify(field);
      return `  ${key}${required.includes(field) ? '' : '?'}: ${typeOf(type, imports)};`;
    });
  return `export interface ${shortOf(name)} {\n${lines.join('\n')}\n}\n`;
}

function importLines(file, imports) {
  const bySource = {};
  for (const name of imports) {
    if (name === objectMeta) (bySource['../meta.js'] ??= new Set()).add('ObjectMeta');
    else {
      const source = name in inMeta ? 'meta' : fileOf[packageOf(name)];
      if (source === undefined) throw new Error(`${file} refers to ${name}, which no file holds`);
      if (source !== file) (bySource[`./${source}.js`] ??= new Set()).add(inMeta[name] ?? shortOf(name));
    }
  }
  return Object.entries(bySource)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([source, names]) => `import type { ${[...names].sort().join(', ')} } from '${source}';\n`)
    .join('');
}

function textOf(file) {
  const imports = new Set();
  const body = namesIn(file)
    .map((name) => interfaceOf(name, imports))
    .join('\n');
  const head = importLines(file, imports);
  return file === 'meta' ? `${header}${head}${metaPreamble}${body}` : `${header}${head}\n${body}`;
}

const changed = [];
for (const file of Object.keys(files)) {
  const path = fileURLToPath(new URL(`types/${file}.ts`, here));
  const options = await prettier.resolveConfig(path);
  const text = await prettier.format(textOf(file), { ...options, parser: 'typescript' });
  let present = '';
  try {
    present = readFileSync(path, 'utf8');
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
  if (present === text) continue;
  changed.push(`types/${file}.ts`);
  if (!process.argv.includes('--check')) writeFileSync(path, text);
}
if (process.argv.includes('--check') && changed.length > 0) {
  process.stderr.write(`not as generated: ${changed.join(', ')}\n`);
  process.exitCode = 1;
}
