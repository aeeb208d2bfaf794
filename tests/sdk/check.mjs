// The official Node SDKs against the gateway: node check.mjs ADDRESS.
//
// Every SDK asks every provider for everything; script.json says what the providers answer to what.

import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { ApiError, GoogleGenAI } from "@google/genai";
import OpenAI from "openai";

const address = process.argv[2];
// A provider's own names for its models; one of them gives its calls no ids.
const models = ["gpt-4.1", "claude-sonnet-5", "gemini-3.6-flash", "gemini-2.5-flash"];
const pixel =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const shape = (properties) => ({
  type: "object",
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
});
const weather = shape({ city: { type: "string" } });
const place = shape({ city: { type: "string" }, population: { type: "integer" } });
const degrees = { Paris: "18 degrees", Tokyo: "31 degrees", Oslo: "It is wet" };
const statuses = {
  "rate limit": [429],
  "bad request": [400],
  "too long": [400],
  "not found": [404],
  "server error": [500, 502],
  overloaded: [503, 529],
};

const openai = new OpenAI({ baseURL: `${address}/v1`, apiKey: "any", maxRetries: 0 });
const anthropic = new Anthropic({ baseURL: address, apiKey: "any", maxRetries: 0 });
const google = new GoogleGenAI({ apiKey: "any", httpOptions: { baseUrl: address } });

/** The classes of an SDK that names them alike: OpenAI's and Anthropic's do. */
const classes = (sdk) => ({
  broken: sdk.APIError,
  badKey: sdk.AuthenticationError,
  faults: {
    "rate limit": sdk.RateLimitError,
    "bad request": sdk.BadRequestError,
    "too long": sdk.BadRequestError,
    "not found": sdk.NotFoundError,
    "server error": sdk.InternalServerError,
    overloaded: sdk.InternalServerError,
  },
});

const ofChat = {
  name: "openai chat",
  ...classes(OpenAI),
  broken: OpenAI.OpenAIError,
  // Whose signatures come back. It has no place for those of thoughts.
  signed: ["gemini"],
  finishes: { stop: "stop", length: "length", tools: "tool_calls" },
  user(text, picture) {
    const image = { type: "image_url", image_url: { url: `data:image/png;base64,${picture}` } };
    return [{ role: "user", content: picture ? [image, { type: "text", text }] : text }];
  },
  async ask(model, messages, streamed, { tools, schema } = {}) {
    const body = { model, messages };
    if (tools) body.tools = [{ type: "function", function: { name: "weather", parameters: weather } }];
    if (schema) {
      body.response_format = { type: "json_schema", json_schema: { name: "place", schema, strict: true } };
    }
    if (!streamed) return openai.chat.completions.create(body);
    const stream = openai.chat.completions.stream({ ...body, stream_options: { include_usage: true } });
    return stream.finalChatCompletion().catch((error) => {
      if (error.message?.includes("length limit")) {
        return stream.currentChatCompletionSnapshot ?? stream._chatCompletions.at(-1);
      }
      throw error;
    });
  },
  text: (answer) => answer.choices[0].message.content ?? "",
  finish: (answer) => answer.choices[0].finish_reason,
  tokens: (answer) => [answer.usage.prompt_tokens, answer.usage.completion_tokens],
  calls: (answer) =>
    (answer.choices[0].message.tool_calls ?? []).map((call) => ({
      id: call.id,
      name: call.function.name,
      arguments: JSON.parse(call.function.arguments),
    })),
  after: (answer, results) => [
    answer.choices[0].message,
    ...results.map(({ id, text }) => ({ role: "tool", tool_call_id: id, content: text })),
  ],
};

const ofResponses = {
  ...ofChat,
  name: "openai responses",
  signed: ["claude", "gemini"],
  finishes: { stop: "completed", length: "incomplete", tools: "completed" },
  user(text, picture) {
    const image = { type: "input_image", image_url: `data:image/png;base64,${picture}`, detail: "auto" };
    return [{ role: "user", content: picture ? [image, { type: "input_text", text }] : text }];
  },
  async ask(model, input, streamed, { tools, schema } = {}) {
    const body = { model, input, store: false, include: ["reasoning.encrypted_content"] };
    if (tools) body.tools = [{ type: "function", name: "weather", parameters: weather, strict: true }];
    if (schema) body.text = { format: { type: "json_schema", name: "place", schema, strict: true } };
    return streamed ? openai.responses.stream(body).finalResponse() : openai.responses.create(body);
  },
  text: (answer) => answer.output_text,
  finish: (answer) => answer.status,
  tokens: (answer) => [answer.usage.input_tokens, answer.usage.output_tokens],
  calls: (answer) =>
    answer.output
      .filter((item) => item.type === "function_call")
      .map((call) => ({ id: call.call_id, name: call.name, arguments: JSON.parse(call.arguments) })),
  after: (answer, results) => [
    ...answer.output.map(({ parsed_arguments, ...item }) => item),
    ...results.map(({ id, text }) => ({ type: "function_call_output", call_id: id, output: text })),
  ],
  count: async (model, input) => (await openai.responses.inputTokens.count({ model, input })).input_tokens,
};

const ofAnthropic = {
  name: "anthropic",
  ...classes(Anthropic),
  broken: Anthropic.AnthropicError,
  signed: ["claude", "gemini"],
  finishes: { stop: "end_turn", length: "max_tokens", tools: "tool_use" },
  user(text, picture) {
    const image = { type: "image", source: { type: "base64", media_type: "image/png", data: picture } };
    return [{ role: "user", content: picture ? [image, { type: "text", text }] : text }];
  },
  async ask(model, messages, streamed, { tools, schema } = {}) {
    const body = { model, messages, max_tokens: 100 };
    if (tools) body.tools = [{ name: "weather", input_schema: weather }];
    if (schema) body.output_config = { format: { type: "json_schema", schema } };
    return streamed ? anthropic.messages.stream(body).finalMessage() : anthropic.messages.create(body);
  },
  text: (answer) => answer.content.map((block) => block.text ?? "").join(""),
  finish: (answer) => answer.stop_reason,
  tokens: (answer) => [answer.usage.input_tokens, answer.usage.output_tokens],
  calls: (answer) =>
    answer.content
      .filter((block) => block.type === "tool_use")
      .map(({ id, name, input }) => ({ id, name, arguments: input })),
  after: (answer, results) => [
    { role: "assistant", content: answer.content },
    {
      role: "user",
      content: results.map(({ id, text }) => ({ type: "tool_result", tool_use_id: id, content: text })),
    },
  ],
  count: async (model, messages) => (await anthropic.messages.countTokens({ model, messages })).input_tokens,
};

const parts = (answer) => answer.candidates?.[0]?.content?.parts ?? [];
const ofGoogle = {
  name: "google-genai",
  broken: Error,
  badKey: ApiError,
  faults: Object.fromEntries(Object.keys(statuses).map((fault) => [fault, ApiError])),
  signed: ["claude", "gemini"],
  finishes: { stop: "STOP", length: "MAX_TOKENS", tools: "STOP" },
  user(text, picture) {
    const image = { inlineData: { mimeType: "image/png", data: picture } };
    return [{ role: "user", parts: picture ? [image, { text }] : [{ text }] }];
  },
  async ask(model, contents, streamed, { tools, schema } = {}) {
    const config = {};
    if (tools) config.tools = [{ functionDeclarations: [{ name: "weather", parametersJsonSchema: weather }] }];
    if (schema) Object.assign(config, { responseMimeType: "application/json", responseJsonSchema: schema });
    if (!streamed) return google.models.generateContent({ model, contents, config });
    // The SDK puts no stream together: this is the last chunk with all of the parts.
    const all = [];
    let last;
    for await (const chunk of await google.models.generateContentStream({ model, contents, config })) {
      all.push(...parts(chunk));
      last = chunk;
    }
    last.candidates[0].content = { role: "model", parts: all };
    return last;
  },
  text: (answer) => parts(answer).map((part) => (part.thought ? "" : part.text ?? "")).join(""),
  finish(answer) {
    // What has none was broken off; the SDK leaves it to its user to see that.
    assert.ok(answer.candidates[0].finishReason, "the stream has no end");
    return answer.candidates[0].finishReason;
  },
  tokens: ({ usageMetadata: usage }) => [
    usage.promptTokenCount,
    (usage.candidatesTokenCount ?? 0) + (usage.thoughtsTokenCount ?? 0),
  ],
  calls: (answer) =>
    parts(answer)
      .filter((part) => part.functionCall)
      .map(({ functionCall: { id, name, args } }) => ({ id, name, arguments: args })),
  after: (answer, results) => [
    answer.candidates[0].content,
    {
      role: "user",
      parts: results.map(({ id, name, text }) => ({ functionResponse: { id, name, response: { output: text } } })),
    },
  ],
  count: async (model, contents) => (await google.models.countTokens({ model, contents })).totalTokens,
};

const rejected = async (asked, kind) => {
  try {
    await asked();
  } catch (error) {
    assert.ok(error instanceof kind, `${error?.constructor?.name} instead of ${kind.name}: ${error}`);
    return error;
  }
  assert.fail("no error");
};
const family = (model) => model.split("-")[0];
/** A model of its own, so that none is spared for what another did. */
const own = (sdk, model, why) => `${family(model)}-node-${sdk.name}-${why}`.replaceAll(" ", "-").toLowerCase();

const checks = {
  async text(sdk, model, streamed) {
    const answer = await sdk.ask(model, sdk.user("Hello"), streamed);
    assert.equal(sdk.text(answer), `This is ${model}, emulated. You said: Hello`);
    assert.equal(sdk.finish(answer), sdk.finishes.stop);
    assert.deepEqual(sdk.tokens(answer), [5, 7]);
  },
  async cutShort(sdk, model, streamed) {
    const answer = await sdk.ask(model, sdk.user("Be cut short"), streamed);
    assert.deepEqual([sdk.text(answer), sdk.finish(answer)], ["one two three", sdk.finishes.length]);
  },
  async twoCallsOverTwoTurns(sdk, model, streamed) {
    const turns = sdk.user("What is it like in Paris and Tokyo?");
    const answer = await sdk.ask(model, turns, streamed, { tools: true });
    assert.deepEqual([sdk.text(answer), sdk.finish(answer)], ["Let me look.", sdk.finishes.tools]);
    const calls = sdk.calls(answer);
    assert.deepEqual(calls.map((call) => [call.name, call.arguments.city]), [["weather", "Paris"], ["weather", "Tokyo"]]);
    assert.ok(calls[0].id !== calls[1].id || calls[0].id === undefined, "ids of their own");
    const results = calls.map((call) => ({ ...call, text: degrees[call.arguments.city] }));
    const next = await sdk.ask(model, [...turns, ...sdk.after(answer, results)], streamed, { tools: true });
    assert.equal(sdk.text(next), "Paris has 18 and Tokyo 31.");
  },
  async aSignedThoughtComesBack(sdk, model, streamed) {
    const turns = sdk.user("Think about the rain in Oslo");
    const answer = await sdk.ask(model, turns, streamed, { tools: true });
    const [call, ...others] = sdk.calls(answer);
    assert.equal(others.length, 0);
    const results = [{ ...call, text: degrees[call.arguments.city] }];
    const next = await sdk.ask(model, [...turns, ...sdk.after(answer, results)], streamed, { tools: true });
    assert.equal(sdk.text(next), sdk.signed.includes(family(model)) ? "Wet, as I thought." : "Wet.");
  },
  async picture(sdk, model, streamed) {
    const answer = await sdk.ask(model, sdk.user("What is in the picture?", pixel), streamed);
    assert.equal(sdk.text(answer), "One pixel.");
  },
  async structured(sdk, model, streamed) {
    const answer = await sdk.ask(model, sdk.user("Paris as JSON"), streamed, { schema: place });
    assert.deepEqual(JSON.parse(sdk.text(answer)), { city: "Paris", population: 2 });
  },
  async counting(sdk, model, streamed) {
    if (!sdk.count || streamed) return;
    // The gateway counts itself where a provider does not.
    assert.equal(await sdk.count(model, sdk.user("Hello")), family(model) === "gpt" ? 8 : 5);
  },
  async brokenStreamsAreErrors(sdk, model, streamed) {
    if (!streamed) return;
    const ways = ["Stop without a word", "Hang up", "Fail on the way"];
    // OpenAI's comes after the reason to stop.
    if (family(model) !== "gpt") ways.push("Lose the end");
    for (const way of ways) {
      await rejected(async () => sdk.finish(await sdk.ask(own(sdk, model, way), sdk.user(way), true)), sdk.broken);
    }
  },
  async errorsAreTheSdksOwn(sdk, model, streamed) {
    for (const [fault, kind] of Object.entries(sdk.faults)) {
      const asked = () => sdk.ask(own(sdk, model, `${fault}-${streamed}`), sdk.user(`Fail with ${fault}`), streamed);
      const error = await rejected(asked, kind);
      assert.ok(statuses[fault].includes(error.status), `${fault}: ${error.status} ${error}`);
      if (fault === "rate limit" && error.headers) assert.equal(error.headers.get("retry-after"), "7");
    }
  },
};

const ofTheGateway = {
  async lists() {
    const ids = [[], [], []];
    for await (const model of openai.models.list()) ids[0].push(model.id);
    for await (const model of anthropic.models.list()) ids[1].push(model.id);
    for await (const model of await google.models.list()) ids[2].push(model.name.replace("models/", ""));
    for (const listed of ids) for (const model of models) assert.ok(listed.includes(model), `${model} in ${listed}`);
    assert.equal((await openai.models.retrieve("gpt-4.1")).id, "gpt-4.1");
    assert.equal((await anthropic.models.retrieve("gpt-4.1")).id, "gpt-4.1");
    assert.equal((await google.models.get({ model: "gpt-4.1" })).name, "models/gpt-4.1");
  },
  async itsOwnErrors() {
    const [model, hello] = ["a-model-that-nobody-has", [{ role: "user", content: "Hello" }]];
    await rejected(() => openai.chat.completions.create({ model, messages: hello }), OpenAI.NotFoundError);
    await rejected(() => openai.chat.completions.create({ model: "gpt-4.1", messages: [] }), OpenAI.BadRequestError);
    await rejected(() => openai.responses.create({ model, input: "Hello" }), OpenAI.NotFoundError);
    await rejected(() => anthropic.messages.create({ model, max_tokens: 9, messages: hello }), Anthropic.NotFoundError);
    const error = await rejected(() => google.models.generateContent({ model, contents: "Hello" }), ApiError);
    assert.equal(error.status, 404);
  },
};

/** Last: the gateway spares the provider for a while. */
const aBadKey = async (sdk, model, streamed) => {
  const error = await rejected(() => sdk.ask(model, sdk.user("Fail with authentication"), streamed), sdk.badKey);
  assert.equal(error.status, 401);
};

let [ran, failed] = [0, 0];
const run = async (what, check) => {
  ran += 1;
  try {
    await check();
  } catch (error) {
    failed += 1;
    console.log(`FAILED: ${what}: ${error}`.slice(0, 600));
  }
};
const sdks = [ofChat, ofResponses, ofAnthropic, ofGoogle];
const runAll = async (checks) => {
  for (const sdk of sdks) {
    for (const model of models) {
      for (const [name, check] of Object.entries(checks)) {
        for (const streamed of [false, true]) {
          const what = `${name}, ${sdk.name} of ${model}${streamed ? ", streamed" : ""}`;
          await run(what, () => check(sdk, model, streamed));
        }
      }
    }
  }
};
await runAll(checks);
for (const [name, check] of Object.entries(ofTheGateway)) await run(name, check);
await runAll({ aBadKey });
console.log(`Node: ${ran} checks of ${sdks.length} SDKs with ${models.length} models, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
