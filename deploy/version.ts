/** What we say that we are: the Kubernetes whose types and behaviour we serve (ARCHITECTURE rule 15). */
import type { VersionInfo } from '../actors/apiserver/index.js';

export const kubernetesVersion = 'v1.36.0';

export const versionInfo: VersionInfo = {
  major: '1',
  minor: '36',
  gitVersion: `${kubernetesVersion}+kabuki`,
  gitCommit: '',
  gitTreeState: 'clean',
  buildDate: '1970-01-01T00:00:00Z',
  platform: `${process.platform}/${process.arch === 'x64' ? 'amd64' : process.arch}`,
};
