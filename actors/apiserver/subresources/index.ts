/** Subresources by name; a function says whether it answers this resource and verb. */
import type { Handler } from '../dispatch.js';
import type { RequestContext } from '../server-context.js';
import { getObject } from '../verbs/read.js';
import { patchObject } from '../verbs/patch.js';
import { updateObject } from '../verbs/update.js';

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

export const subresourceHandlers: Readonly<Record<string, Choice>> = {
  status: partOfObject,
};
