#!/usr/bin/env node
// Written so that any Node since version 12 can read it: whoever has too old a one gets a sentence, not a stack.
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  console.error(
    `Leakage needs Node 22.18 or newer, and this is ${process.version}: run "npm ci" once and then "npx leakage" ` +
      '(npx puts the Node 24 of this project first), or install a newer Node.',
  );
  process.exitCode = 2;
} else {
  void import('../src/main.ts').then(({ main }) => main(process.argv));
}
