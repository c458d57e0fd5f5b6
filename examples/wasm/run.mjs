// Runs the module that the first argument names.
import { readFileSync, writeSync } from "node:fs";

let memory;
const host = {
  print: (text, length) => writeSync(1, new Uint8Array(memory.buffer, text, length)),
  exit: (status) => process.exit(status),
};
const module = await WebAssembly.instantiate(readFileSync(process.argv[2]), { host });
memory = module.instance.exports.memory;
module.instance.exports.run();
