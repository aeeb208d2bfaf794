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

const missing = "a-model-that-nobody-has";
await assert.rejects(openai.chat.completions.create({ model: missing, messages }), OpenAI.NotFoundError);
await assert.rejects(anthropic.messages.create({ model: missing, max_tokens: 9, messages }), Anthropic.NotFoundError);
await assert.rejects(google.models.generateContent({ model: missing, contents: "Hello" }), { status: 404 });
for await (const model of openai.models.list()) assert.ok(model.id);
console.log("ok: lists and errors");
