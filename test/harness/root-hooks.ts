/** What mocha calls around each file (`.mocharc.json` requires it). */
import { stopSharedCluster } from './shared-cluster.js';

export const mochaHooks = {
  afterAll: [
    async function stopShared(this: Mocha.Context): Promise<void> {
      this.timeout(60_000);
      await stopSharedCluster();
    },
  ],
};
