#!/usr/bin/env node
// Lets forge use the solc of npm: answers `--version`, otherwise standard JSON from stdin to stdout. It fetches nothing.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const solc = createRequire(import.meta.url)("solc");

if (process.argv.includes("--version")) {
  // Forge accepts only versions that look native.
  console.log(`solc, the solidity compiler\nVersion: ${solc.version().replace(".Emscripten.clang", ".Linux.g++")}`);
} else {
  process.stdout.write(solc.compile(readFileSync(0, "utf8")));
}
