// Makes dist/: ESM, CommonJS, types for both, and one file for a <script> tag.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { build } from 'esbuild';

const common = { bundle: true, target: 'es2020', external: ['ws'], logLevel: 'warning' };
await mkdir('dist', { recursive: true });
await build({ ...common, entryPoints: ['src/index.js'], format: 'esm', platform: 'neutral', outfile: 'dist/index.js' });
await build({ ...common, entryPoints: ['src/index.js'], format: 'cjs', platform: 'neutral', outfile: 'dist/index.cjs' });
await build({ ...common, entryPoints: ['src/global.js'], format: 'iife', minify: true, outfile: 'dist/swim-client.js' });
const types = (await readFile('types/models.d.ts', 'utf8')) + (await readFile('types/index.d.ts', 'utf8'));
for (const ending of ['d.ts', 'd.cts']) await writeFile(`dist/index.${ending}`, types);
