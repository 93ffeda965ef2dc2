// Makes dist/: ESM, CommonJS, types for both, and one file for a <script> tag.
import { copyFile, mkdir } from 'node:fs/promises';
import { build } from 'esbuild';

const common = { bundle: true, target: 'es2020', external: ['ws'], logLevel: 'warning' };
await mkdir('dist', { recursive: true });
await build({ ...common, entryPoints: ['src/index.js'], format: 'esm', platform: 'neutral', outfile: 'dist/index.js' });
await build({ ...common, entryPoints: ['src/index.js'], format: 'cjs', platform: 'neutral', outfile: 'dist/index.cjs' });
await build({ ...common, entryPoints: ['src/global.js'], format: 'iife', minify: true, outfile: 'dist/swim-client.js' });
await copyFile('types/index.d.ts', 'dist/index.d.ts');
await copyFile('types/index.d.ts', 'dist/index.d.cts');
