/** Names on a disk are plain file names: nothing that could leave the folder. */
import { strict as assert } from 'node:assert';

const PLAIN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

export function checkFileName(name: string): void {
  assert(PLAIN.test(name), `not a plain file name: ${JSON.stringify(name)}`);
}
