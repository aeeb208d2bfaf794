"""The official Python SDKs against the gateway: python check.py ADDRESS."""

import json
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


SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
SHAPE = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "degrees": {"type": "integer"}},
    "required": ["city", "degrees"],
    "additionalProperties": False,
}
WEATHER = "Says what the weather is"
ANSWERS = {"Paris": "rain", "Oslo": "snow"}


def both_cities(arguments):
    cities = [json.loads(each)["city"] if isinstance(each, str) else each["city"] for each in arguments]
    assert cities == ["Paris", "Oslo"], cities


def tools_of_openai_chat(provider):
    model = f"{provider}/tools"
    tools = [{"type": "function", "function": {"name": "weather", "description": WEATHER, "parameters": SCHEMA}}]
    for streamed in (False, True):
        messages = [{"role": "user", "content": "How is the weather in Paris and in Oslo?"}]
        if streamed:
            with chat.chat.completions.stream(model=model, messages=messages, tools=tools) as events:
                choice = events.get_final_completion().choices[0]
        else:
            choice = chat.chat.completions.create(model=model, messages=messages, tools=tools).choices[0]
        calls = choice.message.tool_calls
        assert choice.finish_reason == "tool_calls" and len({call.id for call in calls}) == 2
        both_cities([call.function.arguments for call in calls])
        messages.append({"role": "assistant", "tool_calls": [
            {"id": call.id, "type": "function", "function": {"name": call.function.name, "arguments": call.function.arguments}}
            for call in calls
        ]})
        for call in calls:
            result = ANSWERS[json.loads(call.function.arguments)["city"]]
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
        whole = chat.chat.completions.create(model=model, messages=messages, tools=tools)
        assert whole.choices[0].message.content == "Rain here, snow there."


def tools_of_openai_responses(provider):
    model = f"{provider}/tools"
    tools = [{"type": "function", "name": "weather", "description": WEATHER, "parameters": SCHEMA, "strict": True}]
    for streamed in (False, True):
        turn = [{"role": "user", "content": "How is the weather in Paris and in Oslo?"}]
        if streamed:
            with chat.responses.stream(model=model, input=turn, tools=tools) as events:
                for _ in events:
                    pass
                whole = events.get_final_response()
        else:
            whole = chat.responses.create(model=model, input=turn, tools=tools)
        calls = [item for item in whole.output if item.type == "function_call"]
        both_cities([call.arguments for call in calls])
        for call in calls:
            turn.append({"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments})
        for call in calls:
            result = ANSWERS[json.loads(call.arguments)["city"]]
            turn.append({"type": "function_call_output", "call_id": call.call_id, "output": result})
        assert chat.responses.create(model=model, input=turn, tools=tools).output_text == "Rain here, snow there."


def tools_of_anthropic(provider):
    model = f"{provider}/tools"
    tools = [{"name": "weather", "description": WEATHER, "input_schema": SCHEMA}]
    for streamed in (False, True):
        messages = [{"role": "user", "content": "How is the weather in Paris and in Oslo?"}]
        if streamed:
            with claude.messages.stream(model=model, max_tokens=100, messages=messages, tools=tools) as events:
                whole = events.get_final_message()
        else:
            whole = claude.messages.create(model=model, max_tokens=100, messages=messages, tools=tools)
        calls = [block for block in whole.content if block.type == "tool_use"]
        assert whole.stop_reason == "tool_use" and len({call.id for call in calls}) == 2
        both_cities([call.input for call in calls])
        results = [{"type": "tool_result", "tool_use_id": call.id, "content": ANSWERS[call.input["city"]]} for call in calls]
        messages += [{"role": "assistant", "content": whole.content}, {"role": "user", "content": results}]
        last = claude.messages.create(model=model, max_tokens=100, messages=messages, tools=tools)
        assert last.content[0].text == "Rain here, snow there."


def tools_of_google(provider):
    model = f"{provider}/tools"
    function = types.FunctionDeclaration(name="weather", description=WEATHER, parameters_json_schema=SCHEMA)
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[function])],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )
    for streamed in (False, True):
        turn = [types.Content(role="user", parts=[types.Part(text="How is the weather in Paris and in Oslo?")])]
        if streamed:
            pieces = google.models.generate_content_stream(model=model, contents=turn, config=config)
            parts = [part for piece in pieces for part in (piece.candidates[0].content.parts or [])]
        else:
            parts = google.models.generate_content(model=model, contents=turn, config=config).candidates[0].content.parts
        calls = [part.function_call for part in parts if part.function_call]
        both_cities([call.args for call in calls])
        results = [
            types.Part(function_response=types.FunctionResponse(id=call.id, name=call.name, response={"result": ANSWERS[call.args["city"]]}))
            for call in calls
        ]
        asked = [part for part in parts if part.function_call]
        turn += [types.Content(role="model", parts=asked), types.Content(role="user", parts=results)]
        assert google.models.generate_content(model=model, contents=turn, config=config).text == "Rain here, snow there."


def thinking_goes_back(provider):
    model = f"{provider}/thinks"
    # OpenAI Chat does not tell what it thought.
    told = provider != "openai"
    whole = claude.messages.create(
        model=model, max_tokens=2000, messages=QUESTION, thinking={"type": "enabled", "budget_tokens": 1024}
    )
    assert [block.type for block in whole.content] == ["thinking"] * told + ["text"], whole
    assert whole.content[-1].text == "Forty-two."
    again = QUESTION + [{"role": "assistant", "content": whole.content}, {"role": "user", "content": "Really?"}]
    last = claude.messages.create(
        model=model, max_tokens=2000, messages=again, thinking={"type": "enabled", "budget_tokens": 1024}
    )
    assert last.content[-1].text == "As I said."

    include, reasoning = ["reasoning.encrypted_content"], {"effort": "low", "summary": "auto"}
    whole = chat.responses.create(model=model, input=QUESTION, include=include, reasoning=reasoning, store=False)
    assert [item.type for item in whole.output] == ["reasoning"] * told + ["message"], whole
    assert whole.output_text == "Forty-two."
    again = QUESTION + [item.model_dump(exclude_none=True) for item in whole.output] + [{"role": "user", "content": "Really?"}]
    last = chat.responses.create(model=model, input=again, include=include, reasoning=reasoning, store=False)
    assert last.output_text == "As I said."

    config = types.GenerateContentConfig(thinking_config=types.ThinkingConfig(include_thoughts=True))
    whole = google.models.generate_content(model=model, contents="Hello", config=config)
    assert bool(whole.candidates[0].content.parts[0].thought) == told and whole.text == "Forty-two.", whole
    user = lambda text: types.Content(role="user", parts=[types.Part(text=text)])
    again = [user("Hello"), whole.candidates[0].content, user("Really?")]
    assert google.models.generate_content(model=model, contents=again, config=config).text == "As I said."

    whole = chat.chat.completions.create(model=model, messages=QUESTION, reasoning_effort="low")
    assert whole.choices[0].message.content == "Forty-two."
    again = QUESTION + [{"role": "assistant", "content": "Forty-two."}, {"role": "user", "content": "Really?"}]
    assert chat.chat.completions.create(model=model, messages=again).choices[0].message.content == "As I said."


def answers_have_the_shape_asked_for(provider):
    model, shaped = f"{provider}/shaped", {"city": "Oslo", "degrees": -3}
    schema = {"name": "weather", "schema": SHAPE, "strict": True}
    whole = chat.chat.completions.create(
        model=model, messages=QUESTION, response_format={"type": "json_schema", "json_schema": schema}
    )
    assert json.loads(whole.choices[0].message.content) == shaped
    whole = chat.responses.create(model=model, input="Hello", text={"format": {"type": "json_schema", **schema}})
    assert json.loads(whole.output_text) == shaped
    whole = claude.messages.create(
        model=model, max_tokens=100, messages=QUESTION, output_config={"format": {"type": "json_schema", "schema": SHAPE}}
    )
    assert json.loads(whole.content[0].text) == shaped
    config = types.GenerateContentConfig(response_mime_type="application/json", response_json_schema=SHAPE)
    assert json.loads(google.models.generate_content(model=model, contents="Hello", config=config).text) == shaped


def asked_for(model, stream=False):
    """How each SDK asks, and what it raises: too much asked, overloaded, wrong, broken off."""
    def collected(pieces):
        return [piece for piece in pieces]

    if stream:
        return [
            lambda: collected(chat.chat.completions.create(model=model, messages=QUESTION, stream=True)),
            lambda: collected(chat.responses.create(model=model, input="Hello", stream=True)),
            lambda: collected(claude.messages.create(model=model, max_tokens=9, messages=QUESTION, stream=True)),
            lambda: collected(google.models.generate_content_stream(model=model, contents="Hello")),
        ]
    return [
        lambda: chat.chat.completions.create(model=model, messages=QUESTION),
        lambda: chat.responses.create(model=model, input="Hello"),
        lambda: claude.messages.create(model=model, max_tokens=9, messages=QUESTION),
        lambda: google.models.generate_content(model=model, contents="Hello"),
    ]


def faults_are_the_sdks_own_errors(provider):
    for name, kinds, code in [
        ("limited", [openai.RateLimitError, openai.RateLimitError, anthropic.RateLimitError, errors.ClientError], 429),
        ("overloaded", [openai.InternalServerError, openai.InternalServerError, anthropic.InternalServerError, errors.ServerError], 503),
        ("too-long", [openai.BadRequestError, openai.BadRequestError, anthropic.BadRequestError, errors.ClientError], 400),
    ]:
        for streamed in (False, True):
            for kind, ask in zip(kinds, asked_for(f"{provider}/{name}", streamed)):
                error = fails(kind, ask)
                if isinstance(error, errors.APIError):
                    assert error.code == code, error
    # What was cut off is an error, and not an answer.
    kinds = [openai.APIError, openai.APIError, anthropic.APIError, Exception]
    for kind, ask in zip(kinds, asked_for(f"{provider}/truncated", True)):
        fails(kind, ask)


for model in MODELS:
    for ask in (of_openai_chat, of_openai_responses, of_anthropic, of_google):
        ask(model)
        print(f"ok: {ask.__name__} of {model}")
for provider in ["claude", "gemini", "openai"]:
    for check in (
        tools_of_openai_chat,
        tools_of_openai_responses,
        tools_of_anthropic,
        tools_of_google,
        thinking_goes_back,
        answers_have_the_shape_asked_for,
        faults_are_the_sdks_own_errors,
    ):
        check(provider)
        print(f"ok: {check.__name__} ({provider})")
lists()
errors_are_the_sdks_own()
print("ok: lists and errors")
