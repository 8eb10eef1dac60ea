/** Acting as somebody else: `Impersonate-User`, `-Group`, `-Uid`, `-Extra-*`; each is a verb that must be granted. */
import { type Attributes, type Authorizer, refusalText } from './authorizer.js';
import type { Identity } from './request.js';
import { badRequest, forbidden } from './status.js';

const extraPrefix = 'impersonate-extra-';

export function impersonatedIdentity(
  identity: Identity,
  headers: Readonly<Record<string, string>>,
  authorizer: Authorizer,
): Identity {
  const username = headers['impersonate-user'] ?? '';
  if (username === '') {
    const asked = Object.keys(headers).filter((name) => name.startsWith('impersonate-'));
    throw badRequest(`requested ${asked.join(', ')} without impersonating a user`);
  }
  const uid = headers['impersonate-uid'];
  const given = (headers['impersonate-group'] ?? '').split(',').map((group) => group.trim());
  const asked = given.filter((group) => group !== '');
  const extra: Record<string, string[]> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (name.startsWith(extraPrefix)) {
      extra[decodeURIComponent(name.slice(extraPrefix.length))] = value.split(',').map((each) => each.trim());
    }
  }
  const check = (group: string, resource: string, name: string, namespace = '', subresource = '') => {
    const attributes: Attributes = {
      type: 'resource',
      verb: 'impersonate',
      group,
      version: 'v1',
      resource,
      subresource,
      namespace,
      name,
    };
    const decision = authorizer.authorize(identity, attributes);
    if (!decision.allowed) {
      throw forbidden({ group, resource }, name, refusalText(identity, attributes, decision.reason));
    }
  };
  const account = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(username);
  if (account) check('', 'serviceaccounts', account[2]!, account[1]!);
  else check('', 'users', username);
  for (const group of asked) check('', 'groups', group);
  if (uid !== undefined) check('authentication.k8s.io', 'uids', uid);
  for (const [key, values] of Object.entries(extra)) {
    for (const value of values) check('authentication.k8s.io', 'userextras', value, '', key);
  }
  return {
    username,
    ...(uid !== undefined && { uid }),
    groups: groupsOf(username, asked, account?.[1]),
    ...(Object.keys(extra).length > 0 && { extra }),
  };
}

function groupsOf(
  username: string,
  asked: readonly string[],
  accountNamespace: string | undefined,
): string[] {
  if (username === 'system:anonymous') return [...new Set([...asked, 'system:unauthenticated'])];
  const own =
    accountNamespace !== undefined && asked.length === 0
      ? ['system:serviceaccounts', `system:serviceaccounts:${accountNamespace}`]
      : [];
  return [...new Set([...asked, ...own, 'system:authenticated'])];
}
