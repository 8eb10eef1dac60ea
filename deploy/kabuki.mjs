#!/usr/bin/env node
// Starts the compiled command line, and says what to do where that cannot work.
import { existsSync } from 'node:fs';

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`kabuki needs Node 20.19 or newer; this is ${process.versions.node}`);
  process.exit(1);
}
const cli = new URL('../dist/deploy/cli.js', import.meta.url);
if (!existsSync(cli)) {
  console.error('kabuki is not built yet: run "npm ci" (or "npm run build") in the checkout first');
  process.exit(1);
}
const { main } = await import(cli.href);
process.exitCode = await main(process.argv.slice(2));
