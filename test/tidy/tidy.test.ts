/**
 * Style as a test: the arrows between folders, calls that would break replay, lengths, dead files. Reads the sources as text;
 * prettier's layout makes that reliable. Each rule names the way out.
 */
import { strict as assert } from 'node:assert';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { edges, isEdge } from './edges.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const layers = ['raft', 'transport', 'actors', 'deploy', 'test'] as const;

interface Source {
  /** Relative to the checkout, `actors/runtime/ref.ts`. */
  readonly path: string;
  readonly text: string;
  readonly lines: readonly string[];
  readonly imports: readonly string[];
}

const sources = layers.flatMap((layer) => walk(join(root, layer))).map(read);

describe('tidy', () => {
  it('imports point only downward, and raft and transport never see each other', () => {
    const allowed: Record<string, readonly string[]> = {
      raft: ['raft'],
      transport: ['transport'],
      actors: ['actors', 'transport', 'raft-consensus'],
      deploy: ['deploy', 'actors', 'transport', 'raft-consensus'],
      test: ['test', 'deploy', 'actors', 'transport', 'raft', 'raft-consensus'],
    };
    expectNone(
      sources.flatMap((source) =>
        source.imports
          .filter((target) => target.startsWith('.') || target === 'raft-consensus')
          .map((target) => (target.startsWith('.') ? layerOf(resolveImport(source, target)) : target))
          .filter((layer) => !allowed[layerOf(source.path)]?.includes(layer))
          .map((layer) => `${source.path} imports ${layer}`),
      ),
    );
  });

  it('only raft/disk uses node: modules inside raft', () => {
    expectNone(
      sources
        .filter((source) => source.path.startsWith('raft/') && !source.path.startsWith('raft/disk/'))
        .flatMap((source) =>
          source.imports
            .filter(
              (target) =>
                target.startsWith('node:') && target !== 'node:assert/strict' && target !== 'node:assert',
            )
            .map((target) => `${source.path} imports ${target}`),
        ),
    );
  });

  it('what one component keeps to itself is not imported by another: its index, or a file of types, is the door', () => {
    const doors =
      /(?:^|\/)(?:index|messages|request|client|api-client|resources|informer|meta|limits)\.ts$|\/types\//;
    expectNone(
      sources
        .filter((source) => source.path.startsWith('actors/'))
        .flatMap((source) =>
          source.imports
            .filter((target) => target.startsWith('.'))
            .map((target) => resolveImport(source, target))
            .filter(
              (target) => target.startsWith('actors/') && componentOf(target) !== componentOf(source.path),
            )
            .filter((target) => !doors.test(target))
            .map((target) => `${source.path} imports ${target}`),
        ),
    );
  });

  it('outside the edges nobody calls the clock, chance, timers or the machine', () => {
    const banned =
      /\b(Date\.now\(|new Date\(\)|Math\.random\(|setTimeout\(|setInterval\(|setImmediate\(|performance\.now\(|process\.hrtime|randomUUID\(|randomBytes\()/;
    const bannedImports = /^node:(fs|net|dgram|http|https|http2|tls|child_process|worker_threads|zlib|dns)/;
    const found: string[] = [];
    for (const source of sources) {
      if (/^(deploy|test)\//.test(source.path) || isEdge(source.path)) continue;
      source.lines.forEach((line, i) => {
        if (banned.test(line) && !isComment(line)) found.push(`${source.path}:${i + 1}: ${line.trim()}`);
      });
      for (const target of source.imports) {
        if (bannedImports.test(target)) found.push(`${source.path} imports ${target}`);
      }
    }
    expectNone(found, 'take Env, Clock, Random or Disk; a real edge goes into the list in this test');
  });

  it('nobody unbinds a ZeroMQ socket: that runs in another thread while this one reads the socket, and ends the process', () => {
    const found = sources
      .filter((source) => !source.path.startsWith('test/'))
      .flatMap((source) =>
        source.lines.flatMap((line, i) =>
          /\.unbind(?:Sync)?\(/.test(line) ? [`${source.path}:${i + 1}`] : [],
        ),
      );
    expectNone(found, 'close the socket; its port is free when it says `end`');
  });

  it('every edge in the list exists', () => {
    const paths = new Set(sources.map((source) => source.path));
    expectNone(edges.filter((edge) => !edge.endsWith('/') && !paths.has(edge)));
  });

  it('files stop at 800 lines', () => {
    expectNone(
      sources
        .filter((source) => source.lines.length > 800 && !isGenerated(source))
        .map((s) => `${s.path}: ${s.lines.length}`),
    );
  });

  it('functions stay under 70 lines', () => {
    expectNone(
      sources
        .filter((source) => !source.path.startsWith('test/') && !isGenerated(source))
        .flatMap(longFunctions),
    );
  });

  it('lines stay within 130 columns', () => {
    expectNone(
      sources
        .filter((source) => !isGenerated(source))
        .flatMap((source) =>
          source.lines.flatMap((line, i) =>
            line.length > 130 && !/['"`]|^\s*\/.*\/;?$/.test(line) ? [`${source.path}:${i + 1}`] : [],
          ),
        ),
    );
  });

  it('no file is named after nothing', () => {
    const empty = /(?:^|\/)(?:utils?|common|helpers?|misc|base|manager2?)\.ts$/;
    expectNone(sources.map((source) => source.path).filter((path) => empty.test(path)));
  });

  it('every source file opens with what it is for', () => {
    expectNone(
      sources
        .filter((source) => !/(?:\/index|\.test|\.case)\.ts$/.test(source.path) && !isGenerated(source))
        .filter((source) => !source.text.startsWith('/**'))
        .map((source) => source.path),
    );
  });

  it('no file is dead: everything is imported, started or a test', () => {
    const imported = new Set(
      sources.flatMap((source) =>
        [...source.imports, ...urlsOf(source)]
          .filter((t) => t.startsWith('.'))
          .map((t) => resolveImport(source, t)),
      ),
    );
    expectNone(
      sources
        .map((source) => source.path)
        .filter((path) => !path.includes('/stand-ins/') && !path.startsWith('actors/objects/types/'))
        .filter(
          (path) => !imported.has(path) && !/(?:\/index|\.test)\.ts$/.test(path) && !started.includes(path),
        ),
    );
  });

  it('what the docs name is there: files, folders, links, and what npm runs', () => {
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: object };
    const pages = ['README.md', 'ARCHITECTURE.md', 'raft/README.md', ...pagesBelow('docs')];
    expectNone(
      pages.flatMap((page) => {
        const text = readFileSync(join(root, page), 'utf8');
        const paths = [...text.matchAll(/`((?:raft|transport|actors|deploy|test|docs)\/[\w./-]+)`/g)].map(
          ([, path = '']) => path,
        );
        const links = [...text.matchAll(/\]\((?!\w+:)([^)#]+)/g)].map(([, path = '']) =>
          join(dirname(page), path),
        );
        const runs = [...text.matchAll(/npm run ([\w:-]+)/g)].map(([, name = '']) => name);
        return [
          ...[...paths, ...links]
            .filter((path) => !existsSync(join(root, path)))
            .map((path) => `${page} names ${path}`),
          ...runs.filter((name) => !Object.hasOwn(scripts, name)).map((name) => `${page}: npm run ${name}`),
        ];
      }),
    );
  });

  it('the rules that comments name are those of ARCHITECTURE.md', () => {
    const [, rules = ''] = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8').split(
      '## What everything rests on',
    );
    const numbers = new Set([...rules.matchAll(/^(\d+)\. /gm)].map(([, number]) => number));
    expectNone(
      sources.flatMap(({ path, text }) =>
        [...text.matchAll(/ARCHITECTURE\s+(?:\*\s)?rules?\s+(?:\*\s)?([\d, ]+)/g)]
          .flatMap(([, list = '']) => list.match(/\d+/g) ?? [])
          .filter((number) => !numbers.has(number))
          .map((number) => `${path} names rule ${number}`),
      ),
    );
  });

  it('no words of unfinished work are left', () => {
    expectNone(
      sources
        .filter((source) => source.path !== 'test/tidy/tidy.test.ts')
        .flatMap((source) =>
          source.lines.flatMap((line, i) =>
            /\b(TODO|FIXME|XXX)\b/.test(line) ? [`${source.path}:${i + 1}`] : [],
          ),
        ),
    );
  });
});

/** Entry points and files that mocha or npm load by name. */
const started: readonly string[] = [
  'deploy/cli.ts',
  'test/bench/bench.ts',
  'test/conformance/etcd-diff/main.ts',
  'test/faults/store/main.ts',
  'test/harness/root-hooks.ts',
  'test/reporter.ts',
  'test/sim/raft/main.ts',
  'test/soak/soak.ts',
];

function walk(dir: string): string[] {
  return readdirSync(dir).flatMap((name) => {
    const path = join(dir, name);
    if (statSync(path).isDirectory()) return name === 'dist' || name === 'node_modules' ? [] : walk(path);
    return name.endsWith('.ts') ? [path] : [];
  });
}

function pagesBelow(folder: string): string[] {
  const names = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' });
  return names.filter((name) => name.endsWith('.md')).map((name) => join(folder, name));
}

function read(path: string): Source {
  const text = readFileSync(path, 'utf8');
  return {
    path: relative(root, path),
    text,
    lines: text.split('\n'),
    imports: [
      ...text.matchAll(
        /(?:^|\n)\s*(?:import|export)\s[^;]*?from\s+'([^']+)'|import\('([^']+)'\)|^import '([^']+)'/gm,
      ),
    ].map((match) => match[1] ?? match[2] ?? match[3] ?? ''),
  };
}

function urlsOf(source: Source): string[] {
  return [...source.text.matchAll(/new URL\('(\.[^']+\.js)'/g)].map((match) => match[1] ?? '');
}

function resolveImport(source: Source, target: string): string {
  return normalize(join(dirname(source.path), target)).replace(/\.js$/, '.ts');
}

function layerOf(path: string): string {
  return path.split('/')[0] ?? '';
}

/** `actors/apiserver/x.ts` belongs to `actors/apiserver`. */
function componentOf(path: string): string {
  return path.split('/').slice(0, 2).join('/');
}

function isComment(line: string): boolean {
  return /^\s*(\*|\/\/|\/\*)/.test(line);
}

function isGenerated(source: Source): boolean {
  return source.text.startsWith('// Generated');
}

/** Prettier closes a function at the indentation where it opened. */
function longFunctions(source: Source): string[] {
  const found: string[] = [];
  const opening =
    /^(\s*)(?:export )?(?:async )?(?:function\b|(?:static |readonly |private |override |get |set )*(?:async )?[#\w]+\s*\(.*\{$|(?:const|let) \w+.*=>\s*\{$)/;
  source.lines.forEach((line, start) => {
    const match = opening.exec(line);
    if (!match || /^\s*(if|for|while|switch|catch|return|else|do|try)\b/.test(line)) return;
    const indent = match[1] ?? '';
    const end = source.lines.findIndex((other, i) => i > start && other.startsWith(`${indent}}`));
    if (end - start > 70) found.push(`${source.path}:${start + 1} is ${end - start} lines`);
  });
  return found;
}

function expectNone(found: readonly string[], wayOut = ''): void {
  assert.equal(found.length, 0, `${found.length} found${wayOut && ` (${wayOut})`}:\n  ${found.join('\n  ')}`);
}
