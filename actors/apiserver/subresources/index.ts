/** Subresources by name; each says whether it answers this resource and verb. */
import type { Handler, RequestContext } from '../server-context.js';
import { patchObject } from '../verbs/patch.js';
import { getObject } from '../verbs/read.js';
import { updateObject } from '../verbs/update.js';
import { bindPod } from './binding.js';
import { evictPod } from './eviction.js';
import { readLog } from './log.js';
import { refuseSession } from './session.js';
import { getScale, patchScale, updateScale } from './scale.js';
import { requestToken } from './token.js';

type Choice = (context: RequestContext) => Handler | undefined;

/** The object itself, a part of which may be changed this way. */
const partOfObject: Choice = ({ info }) => {
  switch (info.verb) {
    case 'get':
      return getObject;
    case 'update':
      return updateObject;
    case 'patch':
      return patchObject;
    default:
      return undefined;
  }
};

const scale: Choice = ({ info }) => {
  switch (info.verb) {
    case 'get':
      return getScale;
    case 'update':
      return updateScale;
    case 'patch':
      return patchScale;
    default:
      return undefined;
  }
};

const onCreate =
  (handler: Handler): Choice =>
  ({ info }) =>
    info.verb === 'create' ? handler : undefined;

export const subresourceHandlers: Readonly<Record<string, Choice>> = {
  status: partOfObject,
  scale,
  ephemeralcontainers: partOfObject,
  resize: partOfObject,
  approval: partOfObject,
  finalize: ({ info }) => (info.verb === 'update' ? updateObject : undefined),
  binding: onCreate(bindPod),
  eviction: onCreate(evictPod),
  token: onCreate(requestToken),
  log: ({ info }) => (info.verb === 'get' ? readLog : undefined),
  exec: () => refuseSession,
  attach: () => refuseSession,
  portforward: () => refuseSession,
};
