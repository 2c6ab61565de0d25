// Times llama.cpp (npm's node-llama-cpp, prebuilt) on a GGUF file: reading a prompt and writing an answer.
// usage: node llama_cpp.mjs MODEL.gguf [--prompt 512] [--answer 128] [--threads N] [--repetitions 3]
// Prints one JSON object with tokens per second of each repetition. The working folder must hold node_modules/node-llama-cpp (npm i --ignore-scripts node-llama-cpp).
import path from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    prompt: { type: "string", default: "512" },
    answer: { type: "string", default: "128" },
    threads: { type: "string", default: "2" },
    repetitions: { type: "string", default: "3" },
  },
});
const [model_path] = positionals;
const prompt_tokens = Number(values.prompt);
const answer_tokens = Number(values.answer);
const threads = Number(values.threads);

// The package is looked up from the working folder, so that nothing of a peer is installed inside the repository.
const entry = path.join(process.cwd(), "node_modules/node-llama-cpp/dist/index.js");
const { getLlama, LlamaLogLevel } = await import(pathToFileURL(entry).href);

const llama = await getLlama({ gpu: false, build: "never", logLevel: LlamaLogLevel.error, maxThreads: threads });
const model = await llama.loadModel({ modelPath: model_path });
const context = await model.createContext({
  contextSize: prompt_tokens + answer_tokens + 8,
  batchSize: 512,
  threads: { ideal: threads, min: threads },
});
const sequence = context.getSequence();

// Ids below 2,000 exist in every vocabulary of the benches; the same ids go to every engine.
const tokens = Array.from({ length: prompt_tokens }, (_, i) => 100 + ((i * 7919) % 1900));

async function read_prompt() {
  await sequence.clearHistory();
  const start = performance.now();
  await sequence.evaluateWithoutGeneratingNewTokens(tokens);
  return prompt_tokens / ((performance.now() - start) / 1000);
}

async function write_answer() {
  await sequence.clearHistory();
  let token = tokens[0];
  let start = 0;
  // The first token is a warm-up: it also pays for starting the generator.
  for (let i = 0; i <= answer_tokens; ++i) {
    if (i === 1) start = performance.now();
    await sequence.evaluateWithoutGeneratingNewTokens([token]);
    token = tokens[(i + 1) % tokens.length];
  }
  return answer_tokens / ((performance.now() - start) / 1000);
}

await read_prompt();
const result = { engine: "llama.cpp (node-llama-cpp)", prefill: [], decode: [] };
for (let i = 0; i < Number(values.repetitions); ++i) {
  result.prefill.push(await read_prompt());
  result.decode.push(await write_answer());
}
console.log(JSON.stringify(result));
process.exit(0);
