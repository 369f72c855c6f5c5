/**
 * Builds the dashboard and the operations page: sources in src/ -> built/, which is committed, so that nobody needs Node to run it.
 *
 * Invariant: the same sources give the same bytes, and index.html names the digest of the sources it was built from; a test of the
 * house computes it again. `node build.js FOLDER` builds into another folder.
 */

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';

const HERE = import.meta.dirname;
const TARGET = process.argv[2] ?? join(HERE, 'built');
const BESIDE = ['build.js', 'package-lock.json', 'package.json', 'tsconfig.json'];
const D3 = ['d3-array', 'd3-axis', 'd3-color', 'd3-format', 'd3-interpolate', 'd3-scale', 'd3-selection'];

/** SHA-256 over names and contents, by name. */
async function digest() {
  const sources = (await readdir(join(HERE, 'src'), { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(HERE.length + 1));
  const hash = createHash('sha256');
  for (const name of [...BESIDE, ...sources].sort()) {
    hash.update(`${name}\n`).update(await readFile(join(HERE, name)));
  }
  return hash.digest('hex');
}

/** The licences of what is bundled, as they ask for. */
async function licences() {
  const texts = new Map();
  for (const name of D3) {
    const text = (await readFile(join(HERE, 'node_modules', name, 'LICENSE'), 'utf8')).trim();
    texts.set(text, [...(texts.get(text) ?? []), name]);
  }
  return [...texts].map(([text, names]) => `/*! ${names.join(', ')}:\n${text} */`).join('\n');
}

await rm(TARGET, { recursive: true, force: true });
await mkdir(TARGET, { recursive: true });
const shared = { absWorkingDir: HERE, bundle: true, minify: true, charset: 'utf8', target: ['es2022'], outdir: TARGET };
await build({ ...shared, entryPoints: ['src/app.js', 'src/app.css'], format: 'esm', banner: { js: await licences() } });
await build({ ...shared, entryPoints: ['src/ops.js', 'src/ops.css'], format: 'esm' });
if (existsSync(join(HERE, 'src', 'worker.js'))) {
  await build({ ...shared, entryPoints: ['src/worker.js'], format: 'iife' });
}
const page = await readFile(join(HERE, 'src', 'index.html'), 'utf8');
await writeFile(join(TARGET, 'index.html'), page.replace('{{sources}}', await digest()));
await copyFile(join(HERE, 'src', 'ops.html'), join(TARGET, 'ops.html'));
