"""The official Python SDKs against the gateway: python check.py ADDRESS."""

import sys

import anthropic
import openai
from google import genai
from google.genai import errors, types

ADDRESS = sys.argv[1]
MODELS = ["gpt-4.1", "claude-sonnet-5", "gemini-3.6-flash"]
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
QUESTION = [{"role": "user", "content": "Hello"}]

chat = openai.OpenAI(base_url=f"{ADDRESS}/v1", api_key="any", max_retries=0)
claude = anthropic.Anthropic(base_url=ADDRESS, api_key="any", max_retries=0)
google = genai.Client(api_key="any", http_options=types.HttpOptions(base_url=ADDRESS))


def says(text, model):
    assert text == f"This is {model}, emulated. You said: Hello", text


def fails(kind, ask):
    try:
        ask()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


def of_openai_chat(model):
    whole = chat.chat.completions.create(model=model, messages=QUESTION)
    says(whole.choices[0].message.content, model)
    assert whole.choices[0].finish_reason == "stop" and whole.usage.total_tokens > 0
    text, usage = "", None
    stream = chat.chat.completions.create(
        model=model, messages=QUESTION, stream=True, stream_options={"include_usage": True}
    )
    for chunk in stream:
        text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
        usage = chunk.usage or usage
    says(text, model)
    assert usage.total_tokens == whole.usage.total_tokens
    with chat.chat.completions.stream(model=model, messages=QUESTION) as events:
        says(events.get_final_completion().choices[0].message.content, model)
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
    seen = [{"role": "user", "content": [picture, {"type": "text", "text": "Hello"}]}]
    says(chat.chat.completions.create(model=model, messages=seen).choices[0].message.content, model)


def of_openai_responses(model):
    whole = chat.responses.create(model=model, input="Hello")
    says(whole.output_text, model)
    assert whole.status == "completed" and whole.usage.total_tokens > 0
    with chat.responses.stream(model=model, input="Hello") as events:
        for _ in events:
            pass
        says(events.get_final_response().output_text, model)


def of_anthropic(model):
    whole = claude.messages.create(model=model, max_tokens=100, messages=QUESTION)
    says(whole.content[0].text, model)
    assert whole.stop_reason == "end_turn" and whole.usage.output_tokens > 0
    with claude.messages.stream(model=model, max_tokens=100, messages=QUESTION) as events:
        last = events.get_final_message()
    says(last.content[0].text, model)
    assert last.usage.output_tokens == whole.usage.output_tokens
    source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    seen = [{"role": "user", "content": [{"type": "image", "source": source}, {"type": "text", "text": "Hello"}]}]
    says(claude.messages.create(model=model, max_tokens=100, messages=seen).content[0].text, model)
    assert claude.messages.count_tokens(model=model, messages=QUESTION).input_tokens > 0


def of_google(model):
    whole = google.models.generate_content(model=model, contents="Hello")
    says(whole.text, model)
    assert whole.usage_metadata.total_token_count > 0
    pieces = google.models.generate_content_stream(model=model, contents="Hello")
    says("".join(piece.text or "" for piece in pieces), model)
    assert google.models.count_tokens(model=model, contents="Hello").total_tokens > 0


def lists():
    for ids in [
        [model.id for model in chat.models.list()],
        [model.id for model in claude.models.list()],
        [model.name.removeprefix("models/") for model in google.models.list()],
    ]:
        assert "claude-sonnet-5" in ids, ids


def errors_are_the_sdks_own():
    missing = "a-model-that-nobody-has"
    assert fails(openai.NotFoundError, lambda: chat.chat.completions.create(model=missing, messages=QUESTION)).code == "model_not_found"
    fails(openai.BadRequestError, lambda: chat.chat.completions.create(model="gpt-4.1", messages=[]))
    fails(openai.NotFoundError, lambda: chat.responses.create(model=missing, input="Hello"))
    fails(anthropic.NotFoundError, lambda: claude.messages.create(model=missing, max_tokens=9, messages=QUESTION))
    error = fails(anthropic.BadRequestError, lambda: claude.messages.create(model="claude-sonnet-5", max_tokens=9, messages=[]))
    assert error.request_id, "it can be quoted"
    assert fails(errors.ClientError, lambda: google.models.generate_content(model=missing, contents="Hello")).code == 404


for model in MODELS:
    for ask in (of_openai_chat, of_openai_responses, of_anthropic, of_google):
        ask(model)
        print(f"ok: {ask.__name__} of {model}")
lists()
errors_are_the_sdks_own()
print("ok: lists and errors")
