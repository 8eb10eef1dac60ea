/**
 * What stands in for an image when containers are host processes: nothing is pulled, so a container either
 * says itself what to run (`command:`) or its image is one of these. Each stand-in is a small program of
 * `stand-ins/`, or a program of this machine, and what it does not do is said in `standIn`, which the
 * kubelet puts into an event.
 */
import { fileURLToPath } from 'node:url';
import { ImageError, type ImageRequest, type ResolvedImage } from './container-runtime.js';

interface CatalogueEntry {
  /** Repositories without registry prefix `docker.io/library/`. */
  readonly repositories: readonly string[];
  readonly entrypoint: readonly string[];
  readonly cmd?: readonly string[];
  readonly programs?: Readonly<Record<string, readonly string[]>>;
  /** Where the image's server listens if the container declares no port. */
  readonly port?: number;
  readonly standIn: string;
}

const script = (name: string): readonly string[] => [
  process.execPath,
  '--max-old-space-size=32',
  '--max-semi-space-size=1',
  fileURLToPath(new URL(`./stand-ins/${name}.js`, import.meta.url)),
];

const shellImage = "this machine's /bin/sh and programs stand in for the image's";

const catalogue: readonly CatalogueEntry[] = [
  {
    repositories: ['nginx', 'httpd', 'nginxinc/nginx-unprivileged', 'caddy'],
    entrypoint: script('web'),
    port: 80,
    standIn: 'a small static web server of Kabuki stands in; configuration files of the image are not read',
  },
  {
    repositories: ['traefik/whoami', 'gcr.io/google-samples/hello-app', 'hashicorp/http-echo'],
    entrypoint: script('web'),
    port: 8080,
    standIn: 'a small web server of Kabuki stands in and answers every path with a page about the pod',
  },
  {
    repositories: ['registry.k8s.io/e2e-test-images/agnhost', 'k8s.gcr.io/e2e-test-images/agnhost'],
    entrypoint: script('agnhost'),
    cmd: ['pause'],
    programs: { '/agnhost': script('agnhost') },
    standIn:
      'the pause, netexec, serve-hostname, test-webserver and liveness commands of agnhost are stood in for',
  },
  {
    repositories: ['registry.k8s.io/pause', 'k8s.gcr.io/pause'],
    entrypoint: script('agnhost'),
    cmd: ['pause'],
    programs: { '/pause': [...script('agnhost'), 'pause'] },
    standIn: 'a process that waits for SIGTERM stands in',
  },
  {
    repositories: [
      'busybox',
      'alpine',
      'debian',
      'ubuntu',
      'bash',
      'registry.k8s.io/e2e-test-images/busybox',
    ],
    entrypoint: [],
    cmd: ['/bin/sh'],
    standIn: shellImage,
  },
  {
    repositories: ['node'],
    entrypoint: [],
    cmd: [process.execPath],
    programs: { '/usr/local/bin/node': [process.execPath] },
    standIn: "this machine's Node.js stands in, whatever the version in the image's tag",
  },
];

/** `docker.io/library/nginx:1.27@sha256:..` is `nginx`. Throws ImageError on what cannot be an image name. */
function repositoryOf(image: string): string {
  const digest = image.indexOf('@');
  const named = digest === -1 ? image : image.slice(0, digest);
  const tag = named.lastIndexOf(':');
  const repository = tag > named.lastIndexOf('/') ? named.slice(0, tag) : named;
  if (!/^[a-z0-9]([a-z0-9._:-]*[a-z0-9])?(\/[a-z0-9]+([._-]+[a-z0-9]+)*)*$/.test(repository)) {
    throw new ImageError(
      'InvalidImageName',
      `couldn't parse image name "${image}": invalid reference format`,
    );
  }
  return repository
    .replace(/^(index\.)?docker\.io\//, '')
    .replace(/^(public\.ecr\.aws\/docker\/)?library\//, '');
}

/** Rejects by throwing ImageError with a message that says what to do. */
export function resolveFromCatalogue(request: ImageRequest): ResolvedImage {
  const repository = repositoryOf(request.image);
  const entry = catalogue.find(({ repositories }) => repositories.includes(repository));
  if (entry !== undefined) {
    const port = request.port ?? entry.port;
    return {
      image: request.image,
      imageId: `stand-in://${repository}`,
      entrypoint: entry.entrypoint,
      cmd: entry.cmd ?? [],
      programs: entry.programs ?? {},
      env: {
        KABUKI_IMAGE: request.image,
        ...(port === undefined ? {} : { KABUKI_PORT: String(port) }),
      },
      standIn: entry.standIn,
    };
  }
  if (request.hasCommand) {
    return {
      image: request.image,
      imageId: 'host://',
      entrypoint: [],
      cmd: [],
      programs: {},
      env: { KABUKI_IMAGE: request.image },
      standIn: "the container's command runs as a process of this machine; the image was not pulled",
    };
  }
  throw new ImageError(
    request.pullPolicy === 'Never' ? 'ErrImageNeverPull' : 'ErrImagePull',
    `image "${request.image}" cannot be pulled: containers of this node are host processes. ` +
      'Give the container a command, or use an image that has a stand-in: ' +
      `${catalogue.flatMap(({ repositories }) => repositories.slice(0, 2)).join(', ')}`,
  );
}
