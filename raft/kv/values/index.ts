export { Slab } from './slab.js';
export { readSpans } from './spans.js';
export { inMemory, Values, type ValuesOptions } from './values.js';
export { type SlabFile, ValueFiles, type ValueFilesOptions } from './value-files.js';
export type { Version } from './version.js';
