// The official Node SDKs against the gateway: node check.mjs ADDRESS.

import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { GoogleGenAI } from "@google/genai";
import OpenAI from "openai";

const address = process.argv[2];
const models = ["gpt-4.1", "claude-sonnet-5", "gemini-3.6-flash"];
const messages = [{ role: "user", content: "Hello" }];
const openai = new OpenAI({ baseURL: `${address}/v1`, apiKey: "any", maxRetries: 0 });
const anthropic = new Anthropic({ baseURL: address, apiKey: "any", maxRetries: 0 });
const google = new GoogleGenAI({ apiKey: "any", httpOptions: { baseUrl: address } });

const says = (text, model) => assert.equal(text, `This is ${model}, emulated. You said: Hello`);

for (const model of models) {
  const completion = await openai.chat.completions.create({ model, messages });
  says(completion.choices[0].message.content, model);
  let text = "";
  for await (const chunk of await openai.chat.completions.create({ model, messages, stream: true })) {
    text += chunk.choices[0]?.delta?.content ?? "";
  }
  says(text, model);
  says((await openai.responses.create({ model, input: "Hello" })).output_text, model);
  says((await openai.responses.stream({ model, input: "Hello" }).finalResponse()).output_text, model);

  const message = await anthropic.messages.create({ model, max_tokens: 100, messages });
  says(message.content[0].text, model);
  says(await anthropic.messages.stream({ model, max_tokens: 100, messages }).finalText(), model);
  assert.ok((await anthropic.messages.countTokens({ model, messages })).input_tokens > 0);

  says((await google.models.generateContent({ model, contents: "Hello" })).text, model);
  text = "";
  for await (const piece of await google.models.generateContentStream({ model, contents: "Hello" })) {
    text += piece.text ?? "";
  }
  says(text, model);
  console.log(`ok: all of ${model}`);
}

const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false };
const shape = {
  type: "object",
  properties: { city: { type: "string" }, degrees: { type: "integer" } },
  required: ["city", "degrees"],
  additionalProperties: false,
};
const answers = { Paris: "rain", Oslo: "snow" };
const question = { role: "user", content: "How is the weather in Paris and in Oslo?" };
const both = "Rain here, snow there.";
const cities = (calls) => assert.deepEqual(calls.map((call) => call.city), ["Paris", "Oslo"]);
const drained = async (stream) => {
  for await (const _ of await stream);
};

for (const provider of ["claude", "gemini", "openai"]) {
  // OpenAI Chat does not tell what it thought.
  const told = provider !== "openai";
  let model = `${provider}/tools`;
  for (const streamed of [false, true]) {
    const chatTools = [{ type: "function", function: { name: "weather", parameters } }];
    const asked = { model, messages: [question], tools: chatTools };
    const completion = streamed
      ? await openai.chat.completions.stream(asked).finalChatCompletion()
      : await openai.chat.completions.create(asked);
    const { message } = completion.choices[0];
    cities(message.tool_calls.map((call) => JSON.parse(call.function.arguments)));
    const results = message.tool_calls.map((call) => ({
      role: "tool",
      tool_call_id: call.id,
      content: answers[JSON.parse(call.function.arguments).city],
    }));
    const turn = [question, { role: "assistant", tool_calls: message.tool_calls }, ...results];
    assert.equal((await openai.chat.completions.create({ ...asked, messages: turn })).choices[0].message.content, both);

    const input = [question];
    const responsesTools = [{ type: "function", name: "weather", parameters, strict: true }];
    const request = { model, input, tools: responsesTools };
    const response = streamed
      ? await openai.responses.stream(request).finalResponse()
      : await openai.responses.create(request);
    const calls = response.output.filter((item) => item.type === "function_call");
    cities(calls.map((call) => JSON.parse(call.arguments)));
    for (const { call_id, name, arguments: given } of calls) input.push({ type: "function_call", call_id, name, arguments: given });
    for (const { call_id, arguments: given } of calls) {
      input.push({ type: "function_call_output", call_id, output: answers[JSON.parse(given).city] });
    }
    assert.equal((await openai.responses.create(request)).output_text, both);

    const body = { model, max_tokens: 100, messages: [question], tools: [{ name: "weather", input_schema: parameters }] };
    const said = streamed ? await anthropic.messages.stream(body).finalMessage() : await anthropic.messages.create(body);
    const uses = said.content.filter((block) => block.type === "tool_use");
    cities(uses.map((use) => use.input));
    body.messages.push(
      { role: "assistant", content: said.content },
      { role: "user", content: uses.map((use) => ({ type: "tool_result", tool_use_id: use.id, content: answers[use.input.city] })) },
    );
    assert.equal((await anthropic.messages.create(body)).content[0].text, both);

    const config = { tools: [{ functionDeclarations: [{ name: "weather", parametersJsonSchema: parameters }] }] };
    const contents = [{ role: "user", parts: [{ text: question.content }] }];
    const parts = [];
    if (streamed) {
      for await (const piece of await google.models.generateContentStream({ model, contents, config })) {
        parts.push(...(piece.candidates[0].content?.parts ?? []));
      }
    } else {
      parts.push(...(await google.models.generateContent({ model, contents, config })).candidates[0].content.parts);
    }
    const wanted = parts.filter((part) => part.functionCall);
    cities(wanted.map((part) => part.functionCall.args));
    contents.push({ role: "model", parts: wanted });
    contents.push({
      role: "user",
      parts: wanted.map(({ functionCall: { id, name, args } }) => ({
        functionResponse: { id, name, response: { result: answers[args.city] } },
      })),
    });
    assert.equal((await google.models.generateContent({ model, contents, config })).text, both);
  }
  console.log(`ok: tools of ${provider}`);

  model = `${provider}/thinks`;
  const thinking = { type: "enabled", budget_tokens: 1024 };
  const first = await anthropic.messages.create({ model, max_tokens: 2000, messages, thinking });
  assert.deepEqual(first.content.map((block) => block.type), told ? ["thinking", "text"] : ["text"]);
  const again = [...messages, { role: "assistant", content: first.content }, { role: "user", content: "Really?" }];
  assert.equal((await anthropic.messages.create({ model, max_tokens: 2000, messages: again, thinking })).content.at(-1).text, "As I said.");
  const thought = await google.models.generateContent({ model, contents: "Hello", config: { thinkingConfig: { includeThoughts: true } } });
  assert.equal(Boolean(thought.candidates[0].content.parts[0].thought), told);
  const user = (text) => ({ role: "user", parts: [{ text }] });
  const contents = [user("Hello"), thought.candidates[0].content, user("Really?")];
  assert.equal((await google.models.generateContent({ model, contents })).text, "As I said.");
  const include = ["reasoning.encrypted_content"];
  const reasoned = await openai.responses.create({ model, input: messages, include, store: false });
  assert.deepEqual(reasoned.output.map((item) => item.type), told ? ["reasoning", "message"] : ["message"]);
  const input = [...messages, ...reasoned.output, { role: "user", content: "Really?" }];
  assert.equal((await openai.responses.create({ model, input, include, store: false })).output_text, "As I said.");
  console.log(`ok: thinking of ${provider}`);

  model = `${provider}/shaped`;
  const schema = { name: "weather", schema: shape, strict: true };
  const format = { type: "json_schema", ...schema };
  const shaped = [
    (await openai.chat.completions.create({ model, messages, response_format: { type: "json_schema", json_schema: schema } })).choices[0].message.content,
    (await openai.responses.create({ model, input: "Hello", text: { format } })).output_text,
    (await anthropic.messages.create({ model, max_tokens: 100, messages, output_config: { format: { type: "json_schema", schema: shape } } })).content[0].text,
    (await google.models.generateContent({ model, contents: "Hello", config: { responseMimeType: "application/json", responseJsonSchema: shape } })).text,
  ];
  for (const text of shaped) assert.deepEqual(JSON.parse(text), { city: "Oslo", degrees: -3 });

  for (const [name, openaiError, anthropicError, statuses] of [
    ["limited", OpenAI.RateLimitError, Anthropic.RateLimitError, [429]],
    ["overloaded", OpenAI.InternalServerError, Anthropic.InternalServerError, [503, 529]],
    ["too-long", OpenAI.BadRequestError, Anthropic.BadRequestError, [400]],
  ]) {
    model = `${provider}/${name}`;
    await assert.rejects(openai.chat.completions.create({ model, messages }), openaiError);
    await assert.rejects(openai.responses.create({ model, input: "Hello" }), openaiError);
    await assert.rejects(anthropic.messages.create({ model, max_tokens: 9, messages }), anthropicError);
    await assert.rejects(google.models.generateContent({ model, contents: "Hello" }), (error) => statuses.includes(error.status));
  }
  // What was cut off is an error, and not an answer.
  model = `${provider}/truncated`;
  await assert.rejects(drained(openai.chat.completions.create({ model, messages, stream: true })), OpenAI.APIError);
  await assert.rejects(drained(openai.responses.create({ model, input: "Hello", stream: true })), OpenAI.APIError);
  await assert.rejects(drained(anthropic.messages.create({ model, max_tokens: 9, messages, stream: true })), Anthropic.APIError);
  await assert.rejects(drained(google.models.generateContentStream({ model, contents: "Hello" })));
  console.log(`ok: shapes and faults of ${provider}`);
}

const missing = "a-model-that-nobody-has";
await assert.rejects(openai.chat.completions.create({ model: missing, messages }), OpenAI.NotFoundError);
await assert.rejects(anthropic.messages.create({ model: missing, max_tokens: 9, messages }), Anthropic.NotFoundError);
await assert.rejects(google.models.generateContent({ model: missing, contents: "Hello" }), { status: 404 });
for await (const model of openai.models.list()) assert.ok(model.id);
console.log("ok: lists and errors");
