/** How far a starting cluster is, asked as any client would: over HTTPS through the front address. */
import { request } from 'node:https';
import { type ClusterSpec } from './cluster-spec.js';
import type { DataDir } from './data-dir.js';

/** Number of nodes whose Ready condition is True. Rejects while no apiserver answers. */
export async function readyNodes(dir: DataDir, spec: ClusterSpec): Promise<number> {
  const list = (await getJson(dir, spec, '/api/v1/nodes')) as {
    items: { status?: { conditions?: { type: string; status: string }[] } }[];
  };
  return list.items.filter((node) =>
    node.status?.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True'),
  ).length;
}

/** GET as the administrator; rejects on anything but 200. */
function getJson(dir: DataDir, spec: ClusterSpec, path: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const call = request(
      {
        host: '127.0.0.1',
        port: spec.frontPort,
        path,
        ca: dir.readText('pki/ca.crt'),
        cert: dir.readText('pki/admin.crt'),
        key: dir.readText('pki/admin.key'),
        agent: false,
        timeout: 2_000,
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          if (response.statusCode === 200) resolve(JSON.parse(text));
          else reject(new Error(`GET ${path}: ${response.statusCode} ${text.slice(0, 200)}`));
        });
      },
    );
    call.on('timeout', () => call.destroy(new Error(`GET ${path}: no answer within 2 s`)));
    call.on('error', reject);
    call.end();
  });
}
