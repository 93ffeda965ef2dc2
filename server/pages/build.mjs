// Makes ../swim_server/pages/built/: of each page one script and one style, and the coastlines as they are drawn.
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const target = process.argv[2] ?? join(here, '..', 'swim_server', 'pages', 'built');
const pages = ['map', 'ops', 'status'];
const vendored = ['d3-array', 'd3-geo', 'internmap', 'topojson-client', 'uplot', 'world-atlas'];

await rm(target, { recursive: true, force: true });
await mkdir(target, { recursive: true });
for (const page of pages) {
  await build({
    entryPoints: [join(here, page, 'main.js')],
    outfile: join(target, `${page}.js`),
    absWorkingDir: here,
    preserveSymlinks: true, // names that are made short depend on the order of the paths
    bundle: true,
    minify: true,
    charset: 'utf8',
    format: 'iife',
    target: 'es2022',
    legalComments: 'none',
    logLevel: 'warning',
    alias: { 'swim-client': join(here, '..', '..', 'sdk', 'javascript', 'src', 'index.js') },
    external: ['ws'],
  });
  await build({
    entryPoints: [join(here, page, 'style.css')],
    outfile: join(target, `${page}.css`),
    bundle: true,
    minify: true,
    charset: 'utf8',
    logLevel: 'warning',
  });
  await copyFile(join(here, page, 'page.html'), join(target, `${page}.html`));
}
await copyFile(join(here, 'node_modules', 'world-atlas', 'countries-50m.json'), join(target, 'world.json'));
await writeFile(join(target, 'LICENCES.txt'), await licences());

async function licences() {
  const parts = ['The pages of swimctl are built from these packages, beside code of their own.\n'];
  for (const name of vendored) {
    const folder = join(here, 'node_modules', name);
    const { version, license } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
    const file = (await readdir(folder)).find((each) => /^licen[cs]e/i.test(each));
    const text = file ? (await readFile(join(folder, file), 'utf8')).trim() : '';
    parts.push(`${'-'.repeat(80)}\n${name} ${version} (${license})\n\n${text}\n`);
  }
  return parts.join('\n');
}
