/** Requests that are questions: answered at once, nothing is stored. */
import type { Handler } from './dispatch.js';

/** By `group/resource`. */
export const reviewHandlers: Readonly<Record<string, Handler>> = {};
