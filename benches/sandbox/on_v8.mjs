// Runs a WASI command under V8.
import { readFileSync } from "node:fs";
import { WASI } from "node:wasi";

process.removeAllListeners("warning");
const [, , file, rounds] = process.argv;
const wasi = new WASI({ version: "preview1", args: ["task", rounds], returnOnExit: true });
const { instance } = await WebAssembly.instantiate(readFileSync(file), wasi.getImportObject());
process.exitCode = wasi.start(instance);
