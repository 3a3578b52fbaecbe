/**
 * A static server for `slice.location.base.url`, in a process of its own so that its processor time
 * is not the broker's: @fastify/static over the folder `located` of a data folder.
 *
 *   node build/benchmarks/static-server.js FOLDER PORT
 */

import path from 'node:path';
import fastifyStatic from '@fastify/static';
import Fastify from 'fastify';

const [folder, port] = process.argv.slice(2);
if (folder === undefined || !/^\d+$/.test(port ?? '')) throw new Error('it takes FOLDER PORT');
const app = Fastify({ forceCloseConnections: true });
await app.register(fastifyStatic, { root: path.resolve(folder), index: false });
await app.listen({ host: '127.0.0.1', port: Number(port) });
process.stdout.write('it serves\n');
process.once('SIGTERM', () => process.exit(0));
