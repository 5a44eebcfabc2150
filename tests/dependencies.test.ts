import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

/** SPDX expressions as packages state them. A new one is added here by a person who has read it. */
const licences = new Set([
  '0BSD',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'ISC',
  'MIT',
  'MIT OR Apache-2.0',
]);
/** Of tools that are used here and not given to anybody. */
const licencesOfTools = new Set([...licences, 'Apache-2.0 AND MIT', '(MIT AND Zlib)', 'MPL-2.0', 'Unlicense']);
/** Stated in an old form that package-lock.json does not take over; a person has read it. */
const readByPerson: Readonly<Record<string, string>> = {
  'node_modules/buildcheck': 'MIT',
  'node_modules/cpu-features': 'MIT',
  'node_modules/ssh2': 'MIT',
};

interface LockedPackage {
  readonly license?: string;
  readonly dev?: boolean;
  readonly link?: boolean;
  readonly optional?: boolean;
  readonly integrity?: string;
}

const { packages } = read<{ packages: Record<string, LockedPackage> }>('package-lock.json');
const foreign = Object.entries(packages).filter(([path, { link }]) => path.includes('node_modules/') && !link);

describe('dependencies', () => {
  it('have licences that may be used', () => {
    expect(foreign.length).toBeGreaterThan(100);
    const refused = foreign
      .filter(([path, { license = readByPerson[path] ?? '', dev }]) => !(dev ? licencesOfTools : licences).has(license))
      .map(([path, { license }]) => `${path}: ${license ?? 'no licence stated'}`);
    expect(refused).toEqual([]);
  });

  it('are locked with the digest of their content (those for other platforms by their version)', () => {
    const without = foreign.filter(([, { integrity, optional }]) => integrity === undefined && !optional);
    expect(without.map(([path]) => path)).toEqual([]);
  });

  it('are asked for in one exact version', () => {
    const own = Object.keys(packages).filter((path) => !path.includes('node_modules/'));
    const loose = own.flatMap((path) => {
      const manifest = read<Record<string, Record<string, string>>>(`${path === '' ? '' : `${path}/`}package.json`);
      const asked = ['dependencies', 'devDependencies', 'optionalDependencies'].flatMap((kind) =>
        Object.entries(manifest[kind] ?? {}),
      );
      return asked
        .filter(([name, version]) => !name.startsWith('@leakage/') && !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))
        .map(([name, version]) => `${path}: ${name}@${version}`);
    });
    expect(own.length).toBeGreaterThan(5);
    expect(loose).toEqual([]);
  });
});

function read<T>(path: string): T {
  return JSON.parse(readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')) as T;
}
