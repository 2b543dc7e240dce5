import { runCommandLine } from './command-line.js';
import { createProgram } from './program.js';

await runCommandLine(await createProgram(process.argv[2]), process.argv);
