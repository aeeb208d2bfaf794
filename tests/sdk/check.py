"""The official Python SDKs against the gateway: python check.py ADDRESS.

Every SDK asks every provider for everything; script.json says what the providers answer to what.
"""

import base64
import json
import sys
import traceback

import anthropic
import openai
from google import genai
from google.genai import errors, types

ADDRESS = sys.argv[1]
# A provider's own names for its models; one of them gives its calls no ids.
MODELS = ["gpt-4.1", "claude-sonnet-5", "gemini-3.6-flash", "gemini-2.5-flash"]
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
PLACE = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "population": {"type": "integer"}},
    "required": ["city", "population"],
    "additionalProperties": False,
}
STATUSES = {
    "rate limit": (429,),
    "bad request": (400,),
    "too long": (400,),
    "not found": (404,),
    "server error": (500, 502),
    "overloaded": (503, 529),
}
DEGREES = {"Paris": "18 degrees", "Tokyo": "31 degrees", "Oslo": "It is wet"}

chat = openai.OpenAI(base_url=f"{ADDRESS}/v1", api_key="any", max_retries=0)
claude = anthropic.Anthropic(base_url=ADDRESS, api_key="any", max_retries=0)
google = genai.Client(api_key="any", http_options=types.HttpOptions(base_url=ADDRESS))


class OfChat:
    """OpenAI Chat Completions."""

    name = "openai chat"
    # Whose signatures come back. It has no place for those of thoughts.
    signed = ("gemini",)
    tools = [{"type": "function", "function": {"name": "weather", "parameters": WEATHER}}]
    faults = {
        "rate limit": openai.RateLimitError,
        "bad request": openai.BadRequestError,
        "too long": openai.BadRequestError,
        "not found": openai.NotFoundError,
        "server error": openai.InternalServerError,
        "overloaded": openai.InternalServerError,
    }
    bad_key = openai.AuthenticationError
    broken = openai.APIError

    def user(self, text, picture=None):
        if picture is None:
            return [{"role": "user", "content": text}]
        image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{picture}"}}
        return [{"role": "user", "content": [image, {"type": "text", "text": text}]}]

    def ask(self, model, turns, streamed, tools=False, schema=None):
        more = {"tools": self.tools} if tools else {}
        if schema:
            form = {"name": "place", "schema": schema, "strict": True}
            more["response_format"] = {"type": "json_schema", "json_schema": form}
        if not streamed:
            return chat.chat.completions.create(model=model, messages=turns, **more)
        more["stream_options"] = {"include_usage": True}
        with chat.chat.completions.stream(model=model, messages=turns, **more) as events:
            try:
                for _ in events:
                    pass
                return events.get_final_completion()
            except openai.LengthFinishReasonError as error:
                return error.completion

    def text(self, answer):
        return answer.choices[0].message.content or ""

    def finish(self, answer):
        return answer.choices[0].finish_reason

    def tokens(self, answer):
        return answer.usage.prompt_tokens, answer.usage.completion_tokens

    def calls(self, answer):
        made = answer.choices[0].message.tool_calls or []
        return [(call.id, call.function.name, json.loads(call.function.arguments)) for call in made]

    def after(self, answer, results):
        told = [{"role": "tool", "tool_call_id": id, "content": text} for id, _, text in results]
        return [answer.choices[0].message.to_dict(), *told]

    finishes = {"stop": "stop", "length": "length", "tools": "tool_calls"}


class OfResponses(OfChat):
    """OpenAI Responses."""

    name = "openai responses"
    signed = ("claude", "gemini")
    tools = [{"type": "function", "name": "weather", "parameters": WEATHER, "strict": True}]
    finishes = {"stop": "completed", "length": "incomplete", "tools": "completed"}

    def user(self, text, picture=None):
        if picture is None:
            return [{"role": "user", "content": text}]
        image = {"type": "input_image", "image_url": f"data:image/png;base64,{picture}", "detail": "auto"}
        return [{"role": "user", "content": [image, {"type": "input_text", "text": text}]}]

    def ask(self, model, turns, streamed, tools=False, schema=None):
        more = {"tools": self.tools} if tools else {}
        more.update(store=False, include=["reasoning.encrypted_content"])
        if schema:
            more["text"] = {"format": {"type": "json_schema", "name": "place", "schema": schema, "strict": True}}
        if not streamed:
            return chat.responses.create(model=model, input=turns, **more)
        with chat.responses.stream(model=model, input=turns, **more) as events:
            for event in events:
                if event.type == "response.incomplete":
                    return event.response  # the SDK takes it for no end
            return events.get_final_response()

    def text(self, answer):
        return answer.output_text

    def finish(self, answer):
        return answer.status

    def tokens(self, answer):
        return answer.usage.input_tokens, answer.usage.output_tokens

    def calls(self, answer):
        made = [item for item in answer.output if item.type == "function_call"]
        return [(call.call_id, call.name, json.loads(call.arguments)) for call in made]

    def after(self, answer, results):
        told = [{"type": "function_call_output", "call_id": id, "output": text} for id, _, text in results]
        return [*(item.to_dict() for item in answer.output), *told]

    def count(self, model, turns):
        return chat.responses.input_tokens.count(model=model, input=turns).input_tokens


class OfAnthropic:
    """Anthropic Messages."""

    name = "anthropic"
    signed = ("claude", "gemini")
    tools = [{"name": "weather", "input_schema": WEATHER}]
    faults = {
        "rate limit": anthropic.RateLimitError,
        "bad request": anthropic.BadRequestError,
        "too long": anthropic.BadRequestError,
        "not found": anthropic.NotFoundError,
        "server error": anthropic.InternalServerError,
        "overloaded": anthropic.InternalServerError,
    }
    bad_key = anthropic.AuthenticationError
    broken = anthropic.APIError
    finishes = {"stop": "end_turn", "length": "max_tokens", "tools": "tool_use"}

    def user(self, text, picture=None):
        if picture is None:
            return [{"role": "user", "content": text}]
        source = {"type": "base64", "media_type": "image/png", "data": picture}
        return [{"role": "user", "content": [{"type": "image", "source": source}, {"type": "text", "text": text}]}]

    def ask(self, model, turns, streamed, tools=False, schema=None):
        more = {"tools": self.tools} if tools else {}
        if schema:
            more["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
        if not streamed:
            return claude.messages.create(model=model, max_tokens=100, messages=turns, **more)
        with claude.messages.stream(model=model, max_tokens=100, messages=turns, **more) as events:
            for _ in events:
                pass
            return events.get_final_message()

    def text(self, answer):
        return "".join(block.text for block in answer.content if block.type == "text")

    def finish(self, answer):
        return answer.stop_reason

    def tokens(self, answer):
        return answer.usage.input_tokens, answer.usage.output_tokens

    def calls(self, answer):
        return [(block.id, block.name, block.input) for block in answer.content if block.type == "tool_use"]

    def after(self, answer, results):
        told = [{"type": "tool_result", "tool_use_id": id, "content": text} for id, _, text in results]
        said = [block.to_dict() for block in answer.content]
        return [{"role": "assistant", "content": said}, {"role": "user", "content": told}]

    def count(self, model, turns):
        return claude.messages.count_tokens(model=model, messages=turns).input_tokens


class OfGoogle:
    """Gemini, through google-genai."""

    name = "google-genai"
    signed = ("claude", "gemini")
    finishes = {"stop": "STOP", "length": "MAX_TOKENS", "tools": "STOP"}
    faults = {
        "rate limit": errors.ClientError,
        "bad request": errors.ClientError,
        "too long": errors.ClientError,
        "not found": errors.ClientError,
        "server error": errors.ServerError,
        "overloaded": errors.ServerError,
    }
    bad_key = errors.ClientError
    broken = errors.APIError

    def user(self, text, picture=None):
        parts = [types.Part.from_text(text=text)]
        if picture:
            parts.insert(0, types.Part.from_bytes(data=base64.b64decode(picture), mime_type="image/png"))
        return [types.Content(role="user", parts=parts)]

    def ask(self, model, turns, streamed, tools=False, schema=None):
        config = types.GenerateContentConfig(
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True)
        )
        if tools:
            weather = types.FunctionDeclaration(name="weather", parameters_json_schema=WEATHER)
            config.tools = [types.Tool(function_declarations=[weather])]
        if schema:
            config.response_mime_type = "application/json"
            config.response_json_schema = schema
        if not streamed:
            return google.models.generate_content(model=model, contents=turns, config=config)
        chunks = list(google.models.generate_content_stream(model=model, contents=turns, config=config))
        # The SDK puts no stream together: this is the last chunk with all of the parts.
        parts = [part for chunk in chunks for part in self.parts(chunk)]
        last = chunks[-1]
        last.candidates[0].content = types.Content(role="model", parts=parts)
        return last

    def parts(self, answer):
        content = answer.candidates[0].content if answer.candidates else None
        return (content and content.parts) or []

    def text(self, answer):
        return "".join(part.text or "" for part in self.parts(answer) if not part.thought)

    def finish(self, answer):
        reason = answer.candidates[0].finish_reason
        # What has none was broken off; the SDK leaves it to its user to see that.
        if reason is None:
            raise errors.APIError(499, {"message": "the stream has no end"})
        return reason.value

    def tokens(self, answer):
        usage = answer.usage_metadata
        return usage.prompt_token_count, (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)

    def calls(self, answer):
        made = [part.function_call for part in self.parts(answer) if part.function_call]
        return [(call.id, call.name, call.args) for call in made]

    def after(self, answer, results):
        told = [
            types.Part(function_response=types.FunctionResponse(id=id, name=name, response={"output": text}))
            for id, name, text in results
        ]
        return [answer.candidates[0].content, types.Content(role="user", parts=told)]

    def count(self, model, turns):
        return google.models.count_tokens(model=model, contents=turns).total_tokens


def same(got, expected):
    assert got == expected, f"{got!r} instead of {expected!r}"


def fails(kind, ask):
    try:
        answer = ask()
    except kind as error:
        return error
    raise AssertionError(f"no error, but {answer!r}")


def text(sdk, model, streamed):
    answer = sdk.ask(model, sdk.user("Hello"), streamed)
    same(sdk.text(answer), f"This is {model}, emulated. You said: Hello")
    same(sdk.finish(answer), sdk.finishes["stop"])
    same(sdk.tokens(answer), (5, 7))


def cut_short(sdk, model, streamed):
    answer = sdk.ask(model, sdk.user("Be cut short"), streamed)
    same((sdk.text(answer), sdk.finish(answer)), ("one two three", sdk.finishes["length"]))


def two_calls_over_two_turns(sdk, model, streamed):
    turns = sdk.user("What is it like in Paris and Tokyo?")
    answer = sdk.ask(model, turns, streamed, tools=True)
    same((sdk.text(answer), sdk.finish(answer)), ("Let me look.", sdk.finishes["tools"]))
    calls = sdk.calls(answer)
    same([(name, arguments) for _, name, arguments in calls], [("weather", {"city": city}) for city in ("Paris", "Tokyo")])
    ids = [id for id, _, _ in calls]
    assert len(set(ids)) == 2 or ids == [None, None], ids
    results = [(id, name, DEGREES[arguments["city"]]) for id, name, arguments in calls]
    answer = sdk.ask(model, turns + sdk.after(answer, results), streamed, tools=True)
    same(sdk.text(answer), "Paris has 18 and Tokyo 31.")


def a_signed_thought_comes_back(sdk, model, streamed):
    turns = sdk.user("Think about the rain in Oslo")
    answer = sdk.ask(model, turns, streamed, tools=True)
    [(id, name, arguments)] = sdk.calls(answer)
    turns = turns + sdk.after(answer, [(id, name, DEGREES[arguments["city"]])])
    answer = sdk.ask(model, turns, streamed, tools=True)
    same(sdk.text(answer), "Wet, as I thought." if model.startswith(sdk.signed) else "Wet.")


def picture(sdk, model, streamed):
    same(sdk.text(sdk.ask(model, sdk.user("What is in the picture?", PIXEL), streamed)), "One pixel.")


def structured(sdk, model, streamed):
    answer = sdk.ask(model, sdk.user("Paris as JSON"), streamed, schema=PLACE)
    same(json.loads(sdk.text(answer)), {"city": "Paris", "population": 2})


def errors_are_the_sdks_own(sdk, model, streamed):
    family = model.split("-")[0]
    for fault, kind in sdk.faults.items():
        # A model of its own, so that none is spared for what another did.
        own = f"{family}-{sdk.name}-{fault}-{streamed}".replace(" ", "-").lower()
        error = fails(kind, lambda: sdk.ask(own, sdk.user(f"Fail with {fault}"), streamed))
        status = getattr(error, "status_code", None) or error.code
        assert status in STATUSES[fault], f"{fault}: {status} {error}"
        if fault == "rate limit":
            same(error.response.headers["retry-after"], "7")


def broken_streams_are_errors(sdk, model, streamed):
    if not streamed:
        return
    ways = ["Stop without a word", "Hang up", "Fail on the way"]
    if not model.startswith("gpt"):
        ways.append("Lose the end")  # OpenAI's comes after the reason to stop
    for way in ways:
        own = f"{model.split('-')[0]}-{sdk.name}-{way}".replace(" ", "-").lower()
        try:
            fails(sdk.broken, lambda: sdk.finish(sdk.ask(own, sdk.user(way), True)))
        except AssertionError as error:
            raise AssertionError(f"{way}: {error}") from None


def counting(sdk, model, streamed):
    if hasattr(sdk, "count") and not streamed:
        # The gateway counts itself where a provider does not.
        same(sdk.count(model, sdk.user("Hello")), 8 if model.startswith("gpt") else 5)


def a_bad_key(sdk, model, streamed):
    """Last: the gateway spares the provider for a while."""
    error = fails(sdk.bad_key, lambda: sdk.ask(model, sdk.user("Fail with authentication"), streamed))
    same(getattr(error, "status_code", None) or error.code, 401)


def lists():
    for ids in [
        [model.id for model in chat.models.list()],
        [model.id for model in claude.models.list()],
        [model.name.removeprefix("models/") for model in google.models.list()],
    ]:
        assert {"claude-sonnet-5", "gpt-4.1", "gemini-3.6-flash"} <= set(ids), ids
    for id in [
        chat.models.retrieve("gpt-4.1").id,
        claude.models.retrieve("gpt-4.1").id,
        google.models.get(model="gpt-4.1").name.removeprefix("models/"),
    ]:
        same(id, "gpt-4.1")


def the_gateways_own_errors():
    missing, hello = "a-model-that-nobody-has", [{"role": "user", "content": "Hello"}]
    error = fails(openai.NotFoundError, lambda: chat.chat.completions.create(model=missing, messages=hello))
    same(error.code, "model_not_found")
    fails(openai.BadRequestError, lambda: chat.chat.completions.create(model="gpt-4.1", messages=[]))
    fails(openai.NotFoundError, lambda: chat.responses.create(model=missing, input="Hello"))
    fails(anthropic.NotFoundError, lambda: claude.messages.create(model=missing, max_tokens=9, messages=hello))
    error = fails(anthropic.BadRequestError, lambda: claude.messages.create(model="claude-sonnet-5", max_tokens=9, messages=[]))
    assert error.request_id, "it can be quoted"
    error = fails(errors.ClientError, lambda: google.models.generate_content(model=missing, contents="Hello"))
    same(error.code, 404)


SDKS = [OfChat(), OfResponses(), OfAnthropic(), OfGoogle()]
CHECKS = [
    text,
    cut_short,
    two_calls_over_two_turns,
    a_signed_thought_comes_back,
    picture,
    structured,
    counting,
    broken_streams_are_errors,
    errors_are_the_sdks_own,
]

ran = failed = 0


def run(what, check, *arguments):
    global ran, failed
    ran += 1
    try:
        check(*arguments)
    except Exception as error:
        failed += 1
        where = traceback.extract_tb(error.__traceback__)[-1]
        print(f"FAILED: {what}: {type(error).__name__} at line {where.lineno}: {error}"[:600])


def run_all(checks):
    for sdk in SDKS:
        for model in MODELS:
            for check in checks:
                for streamed in (False, True):
                    what = f"{check.__name__}, {sdk.name} of {model}{', streamed' * streamed}"
                    run(what, check, sdk, model, streamed)


run_all(CHECKS)
for check in (lists, the_gateways_own_errors):
    run(check.__name__, check)
run_all([a_bad_key])
print(f"Python: {ran} checks of {len(SDKS)} SDKs with {len(MODELS)} models, {failed} failed")
sys.exit(failed > 0)
