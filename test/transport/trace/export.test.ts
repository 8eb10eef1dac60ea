import { strict as assert } from 'node:assert';
import { readFileSync, writeFileSync } from 'node:fs';
import {
  type JournalEvent,
  mentions,
  mergeJournals,
  ofObject,
  ofTrace,
  shivizParser,
  toMermaid,
  toOtlp,
  toPerfetto,
  toShiviz,
  within,
} from '../../../transport/index.js';
import { master1, master2 } from './sample.js';

const merged = mergeJournals([master1, master2]);

/** Compares with `golden/<name>`; UPDATE_GOLDEN=1 writes it anew, to be read in the diff. */
function golden(name: string, actual: string): void {
  const file = new URL(`../../../../test/transport/trace/golden/${name}`, import.meta.url);
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(file, actual);
  assert.equal(actual, readFileSync(file, 'utf8'));
}

describe('trace export', () => {
  it('draws a sequence diagram', () => golden('two-nodes.mmd', toMermaid(merged)));
  it('writes a timeline for Perfetto', () => golden('two-nodes.perfetto.json', toPerfetto(merged)));
  it('writes spans for OpenTelemetry', () => golden('two-nodes.otlp.json', toOtlp(merged)));
  it('writes a space-time log for ShiViz', () => golden('two-nodes.shiviz.txt', toShiviz(merged, 'actor')));

  it('writes JSON that parses', () => {
    assert.equal(typeof JSON.parse(toPerfetto(merged)), 'object');
    assert.equal(typeof JSON.parse(toOtlp(merged)), 'object');
  });

  it('writes a ShiViz log that its parser expression takes whole', () => {
    const log = toShiviz(merged);
    const matches = [...log.matchAll(new RegExp(shivizParser, 'g'))];
    assert.equal(matches.length, merged.length);
    for (const { groups } of matches) assert.doesNotThrow(() => JSON.parse(groups?.['clock'] ?? ''));
  });

  it('knows in ShiViz that an arrival comes after its send', () => {
    const lines = toShiviz(merged).split('\n');
    const arrival = lines.findIndex((line) => line.startsWith('recv Append'));
    assert.match(lines[arrival + 1] ?? '', /"master-1":8/);
  });

  it('caps a diagram and says what it leaves out', () => {
    const many: JournalEvent[] = Array.from({ length: 200 }, (_, i) => ({
      ...master1[1]!,
      id: `x/1/${i}` as never,
    }));
    const lines = toMermaid(many).trimEnd().split('\n');
    assert.equal(lines.filter((line) => line.includes('->>')).length, 150);
    assert.match(lines.at(-1) ?? '', /50 more messages are not drawn/);
  });

  it('exports an empty journal', () => {
    assert.equal(toMermaid([]), 'sequenceDiagram\n');
    assert.deepEqual(JSON.parse(toPerfetto([])), { displayTimeUnit: 'ms', traceEvents: [] });
    assert.deepEqual(JSON.parse(toOtlp([])), { resourceSpans: [] });
  });
});

describe('merged journals', () => {
  it('put every arrival after its send and keep the order of each node', () => {
    for (const [node, journal] of [
      ['master-1', master1],
      ['master-2', master2],
    ] as const) {
      assert.deepEqual(
        merged.filter((event) => event.node === node),
        journal,
      );
    }
    const kinds = merged.map((event) => `${event.type} ${event.kind}`);
    assert(kinds.indexOf('send Append') < kinds.indexOf('recv Append'));
  });

  it('keep the order of a node whose restart set its counter back', () => {
    const restarted = [...master1, { ...master1[0]!, lamport: 1 }];
    const node1 = mergeJournals([restarted, master2]).filter((event) => event.node === 'master-1');
    assert.deepEqual(node1, restarted);
  });
});

describe('journal filters', () => {
  it('select one trace, by id or traceparent', () => {
    const part = ofTrace(merged, '11111111111111111111111111111111');
    assert.deepEqual(
      part.map((event) => event.type),
      ['send', 'recv', 'dead'],
    );
    assert.deepEqual(ofTrace(merged, '00-11111111111111111111111111111111-2222222222222222-01'), part);
  });

  it('select a window of time', () => {
    const at = 1_700_000_000_005;
    assert.deepEqual(new Set(within(merged, at, at).map((event) => event.at)), new Set([at]));
  });

  it('select what concerns an object, and what led there', () => {
    const noted: JournalEvent = {
      ...master2[2]!,
      type: 'note',
      detail: { key: '/registry/pods/default/web-2' },
    };
    const part = ofObject([...merged, noted], 'pod/web-2');
    assert.deepEqual(
      new Set(part.map((event) => event.kind)),
      new Set(['ApiRequest', 'Put', 'Append', 'create']),
    );
    assert(!part.some((event) => event.id === 'master-1/1/4'));
    assert.deepEqual(ofObject(merged, 'pod/web-9'), []);
  });

  const detail = (object: string): JournalEvent => ({ ...master1[0]!, detail: { object, n: 1 } });
  const cases: [string, string, boolean][] = [
    ['pods/default/web-1', 'pod/web-1', true],
    ['pods/default/web-1', 'pods/default/web-1', true],
    ['pods/other/web-1', 'pods/default/web-1', false],
    ['pods/default/web-10', 'pod/web-1', false],
    ['pods/default/web-1', 'web-1', true],
    ['deployments/default/web-1', 'pod/web-1', false],
    ['/registry/networking.k8s.io/ingresses/default/main', 'ingress/main', true],
    ['/api/v1/namespaces/default/pods/web-1/status', 'pod/web-1', true],
    ['networkpolicies/default/deny', 'networkpolicy/deny', true],
    ['anything', '', false],
  ];
  for (const [given, asked, expected] of cases) {
    it(`${given} ${expected ? 'is' : 'is not'} meant by ${JSON.stringify(asked)}`, () => {
      assert.equal(mentions(detail(given), asked), expected);
    });
  }
});
