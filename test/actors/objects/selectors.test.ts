import assert from 'node:assert/strict';
import {
  labelSelectorFromMap,
  labelSelectorFromObject,
  parseFieldSelector,
  parseLabelSelector,
} from '../../../actors/objects/index.js';

const pod = { group: '', kind: 'Pod', namespaced: true };

describe('label selectors', () => {
  const labels = { app: 'web', tier: 'front', size: '7' };
  const cases: [string, boolean][] = [
    ['', true],
    ['app=web', true],
    ['app==web,tier=front', true],
    ['app=api', false],
    ['app!=api', true],
    ['missing!=x', true],
    ['app in (web, api)', true],
    ['app notin (web,api)', false],
    ['missing notin (web)', true],
    ['app', true],
    ['missing', false],
    ['!missing', true],
    ['!app', false],
    ['size>5', true],
    ['size<5', false],
    ['app>5', false],
    ['app=', false],
    ['example.com/name=x', false],
    ['in=x', false],
    ['app in (web),!missing,size', true],
  ];
  for (const [selector, expected] of cases) {
    const verb = expected ? 'selects' : 'does not select';
    it(`${selector || '(empty)'} ${verb} ${JSON.stringify(labels)}`, () => {
      assert.equal(parseLabelSelector(selector).matches(labels), expected);
    });
  }

  it('refuses what does not parse', () => {
    for (const bad of [
      'a=b=c',
      'a in',
      'a in (',
      'a in x',
      ',',
      'a,',
      '=b',
      '!',
      'a!b',
      'a=-x-',
      'a>b',
      'a b',
      'a/b/c=d',
    ]) {
      assert.throws(() => parseLabelSelector(bad), { code: 'BAD_SELECTOR' }, bad);
    }
  });

  it('print as they were asked', () => {
    assert.equal(parseLabelSelector('b in (y,x), a=1,!c,d!=2').toString(), 'a=1,b in (x,y),!c,d!=2');
  });

  it('as an object: none selects nothing, an empty one everything', () => {
    assert.equal(labelSelectorFromObject(undefined).matches({}), false);
    assert.equal(labelSelectorFromObject({}).matches({}), true);
    assert.equal(labelSelectorFromMap({}).matches({}), false);
    const selector = labelSelectorFromObject({
      matchLabels: { app: 'web' },
      matchExpressions: [
        { key: 'tier', operator: 'In', values: ['front', 'back'] },
        { key: 'old', operator: 'DoesNotExist' },
        { key: 'size', operator: 'NotIn', values: ['8'] },
        { key: 'size', operator: 'Exists' },
      ],
    });
    assert.equal(selector.matches(labels), true);
    assert.equal(selector.matches({ ...labels, old: '' }), false);
    assert.throws(() => labelSelectorFromObject({ matchExpressions: [{ key: 'a', operator: 'Like' }] }), {
      message: '"Like" is not a valid label selector operator',
    });
  });

  it('are not fooled by what every JavaScript object has', () => {
    assert.equal(parseLabelSelector('constructor').matches({}), false);
  });
});

describe('field selectors', () => {
  const object = {
    metadata: { name: 'a', namespace: 'default' },
    spec: { nodeName: 'n1' },
    status: { phase: 'Running', podIPs: [{ ip: '10.0.0.1' }] },
  };

  it('select by the fields of the kind', () => {
    for (const [selector, expected] of [
      ['spec.nodeName=n1,status.phase!=Succeeded,status.phase!=Failed', true],
      ['spec.nodeName==n2', false],
      ['metadata.name=a,metadata.namespace=default', true],
      ['status.nominatedNodeName=', true],
      ['spec.hostNetwork=false', true],
      ['status.podIPs=10.0.0.1', true],
      ['', true],
    ] as const) {
      assert.equal(parseFieldSelector(selector, pod).matches(object), expected, selector);
    }
  });

  it('tell which name a list is pinned to', () => {
    assert.equal(parseFieldSelector('metadata.name=a', pod).exactMatch('metadata.name'), 'a');
    assert.equal(parseFieldSelector('metadata.name!=a', pod).exactMatch('metadata.name'), undefined);
  });

  it('refuse a field that the kind is not selected by', () => {
    assert.throws(() => parseFieldSelector('spec.color=red', pod), {
      code: 'BAD_SELECTOR',
      message: 'field label not supported: spec.color',
    });
    assert.throws(
      () => parseFieldSelector('spec.color=red', { group: '', kind: 'ConfigMap', namespaced: true }),
      {
        message: '"spec.color" is not a known field selector: only "metadata.name", "metadata.namespace"',
      },
    );
  });

  it('take the fields that a custom resource declares', () => {
    const kind = { group: 'example.com', kind: 'Shirt', namespaced: true, selectableFields: ['.spec.color'] };
    assert.equal(parseFieldSelector('spec.color=red', kind).matches({ spec: { color: 'red' } }), true);
  });

  it('keep escaped commas and refuse bad syntax', () => {
    const selector = parseFieldSelector('metadata.name=a\\,b\\=c', pod);
    assert.equal(selector.matches({ metadata: { name: 'a,b=c' } }), true);
    assert.equal(selector.toString(), 'metadata.name=a\\,b\\=c');
    for (const bad of ['metadata.name', 'metadata.name=a=b', 'metadata.name=\\x']) {
      assert.throws(() => parseFieldSelector(bad, pod), { code: 'BAD_SELECTOR' }, bad);
    }
  });

  it('compare numbers and absent booleans as text', () => {
    const job = { group: 'batch', kind: 'Job', namespaced: true };
    assert.equal(parseFieldSelector('status.successful=0', job).matches({}), true);
    const node = { group: '', kind: 'Node', namespaced: false };
    assert.equal(
      parseFieldSelector('spec.unschedulable=true', node).matches({ spec: { unschedulable: true } }),
      true,
    );
  });
});
