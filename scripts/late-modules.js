/**
 * Plugins of esbuild for bundles in CommonJS, for what a start does not need: modules of Node are
 * loaded at their first use (each costs a start half a millisecond to two and a half), packages
 * are files of their own, loaded with what of ours uses them.
 */

import { createRequire } from 'node:module';

const NAMES = ['assert', 'child_process', 'fs/promises', 'worker_threads', 'zlib'];

const require = createRequire(import.meta.url);

export const lateModules = {
  name: 'late modules',
  setup(build) {
    build.onResolve(
      { filter: new RegExp(`^(node:)?(${NAMES.join('|')})$`) },
      ({ path, namespace }) =>
        namespace === 'late' ? { path, external: true } : { path, namespace: 'late' },
    );
    build.onLoad({ filter: /.*/, namespace: 'late' }, ({ path }) => ({ contents: standIn(path) }));
  },
};

/** What has the module's names, and loads it when one of them is asked for. */
function standIn(name) {
  const own = require(name);
  const load = `require(${JSON.stringify(name)})`;
  const getters = Object.keys(own).map(
    (key) => `get ${JSON.stringify(key)}(){return ${load}[${JSON.stringify(key)}]}`,
  );
  const target =
    typeof own === 'function' ? `function(...values){return ${load}(...values)}` : '{}';
  return `module.exports=Object.defineProperties(${target},Object.getOwnPropertyDescriptors({${getters.join(',')}}));`;
}

/** `names`: packages that are bundled apart, each as `<name>.cjs` beside the program. */
export function latePackages(names) {
  return {
    name: 'late packages',
    setup(build) {
      build.onResolve({ filter: new RegExp(`^(${names.join('|')})$`) }, ({ path }) => ({
        path: `./${path}.cjs`,
        external: true,
      }));
    },
  };
}
