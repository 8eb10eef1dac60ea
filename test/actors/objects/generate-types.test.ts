import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

describe('the generated types', function () {
  this.timeout(60_000);

  it('are what the schema table gives', async () => {
    const script = fileURLToPath(new URL('../../../../actors/objects/generate-types.mjs', import.meta.url));
    await promisify(execFile)(process.execPath, [script, '--check']);
  });
});
